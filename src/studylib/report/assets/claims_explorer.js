// The claims: each with its interval beside where it would have to lie, filtered by paper and verdict; a claim opens into a card.
(() => {
  "use strict";
  const { made, interval } = live;
  const DIGITS = 4;
  const HEIGHT = 26;
  const AT_ONCE = 12;  // parts of a claim; the others unfold

  // Where an interval that speaks for the claim lies, as bands on the whole height of a strip.
  const shade = (svg, axis, holds, [low, high], height) => {
    for (const [least, most] of holds) {
      const [from, to] = [axis.scale(Math.max(least ?? low, low)), axis.scale(Math.min(most ?? high, high))];
      svg.prepend(live.drawn("rect", { class: "band", x: from.toFixed(1), y: 0, width: Math.max(0, to - from).toFixed(1), height }));
    }
  };

  const explore = (box) => {
    const { groups, verdicts, undecisive } = live.data(box);
    const papers = [...new Set(groups.map(({ paper }) => paper))];
    const all = groups.flatMap(({ claims }) => claims);
    const colour = (claim) => verdicts.find(([verdict]) => verdict === claim.verdict)[1];
    const view = { paper: "", verdict: "", claim: "" };

    const choice = live.choices("Filter the claims");
    const words = made("output");
    const lists = made("div");
    let shown = [];  // of each group that is seen: its claims with their rows

    const link = (target, text) => {
      const element = target && document.getElementById(target);
      return element ? [made("a", { href: `#${target}` }, element.querySelector(".figure-number")?.textContent ?? text)] : [];
    };

    const facts = (claim, { paper }) => [
      ["in the paper", `${paper}, ${claim.where}`],
      ["what is measured", `${claim.test}${claim.n ? ` (n = ${claim.n.toLocaleString("en")})` : ""}`],
      ["the rule", claim.rule],
      ["verdict", `${claim.verdict}${claim.p ? `, p ${/^[<≤]/.test(claim.p) ? claim.p : `= ${claim.p}`}` : ""}`],
      ["corrected for the number of claims", claim.corrected],
      ["with all cells", claim.with],
      ["without collapsed cells", claim.without],
      ["on the paper’s own test cases", claim["on test cases"]],
      ["made from", claim.source],
    ].filter(([, text]) => text);

    const part = (claim, axis, ends, n, decides) => {
      const [name, ...numbers] = claim.parts[n];
      const svg = axis.strip(HEIGHT);
      shade(svg, axis, claim.holds, ends, HEIGHT);
      const beside = claim.beside?.[n];
      if (numbers.length) live.mark(svg, axis, numbers, decides ? colour(claim) : "currentColor");
      return made("li", {},
        made("span", { class: "name" }, name || "the claim"), made("span", { class: "strip" }, svg),
        made("span", { class: "value" }, numbers.length ? interval(numbers, DIGITS) : "–", ...(beside ? [made("small", {}, ` without collapsed cells ${interval(beside, DIGITS)}`)] : [])));
    };

    const fill = (card, claim, group) => {
      const list = made("dl", {}, ...facts(claim, group).map(([name, text]) => made("div", {}, made("dt", {}, name), made("dd", {}, text))));
      const links = [...link(claim.figure && `fig-${claim.figure}`, "its figure"), ...link(claim.row, "its row in the table")];
      card.replaceChildren(list, ...(links.length ? [made("p", {}, ...links.flatMap((each, n) => (n ? [" · ", each] : [each])))] : []));
      if (!claim.parts.length) return;
      // The part that decides is the one that the row shows.
      const decisive = claim.parts.findIndex(([, ...numbers]) => String(numbers) === String(claim.measured));
      const order = [decisive, ...claim.parts.keys()].filter((n, at, every) => n >= 0 && every.indexOf(n) === at);
      const bounds = [0, ...claim.holds.flat(), ...claim.parts.flatMap(([, ...numbers]) => numbers), ...(claim.beside ?? []).flat()].filter((value) => value !== null && value !== undefined);
      const room = 0.06 * (Math.max(...bounds) - Math.min(...bounds)) || 1;
      const ends = [Math.min(...bounds) - room, Math.max(...bounds) + room];
      const heading = made("p", { class: "live-hint" }, claim.parts.length > 1 ? `Its ${claim.parts.length} parts, the decisive one first; shaded is where an interval speaks for the claim.` : "Shaded is where an interval speaks for the claim.");
      const parts = made("ul", { class: "live-parts" }, made("li", {}, ...["name", "strip", "value"].map((part) => made("span", { class: part }))));
      card.append(heading, parts);
      const axis = live.axis(parts.querySelector(".strip").clientWidth, ...ends);
      const rows = order.map((n) => part(claim, axis, ends, n, n === decisive));
      const below = made("li", { class: "live-axis" }, made("span", { class: "strip" }, axis.labels(group.unit)));
      parts.replaceChildren(...rows.slice(0, AT_ONCE), below);
      if (rows.length > AT_ONCE) card.append(made("details", {}, made("summary", {}, `The other ${rows.length - AT_ONCE} parts`), made("ul", { class: "live-parts" }, ...rows.slice(AT_ONCE), below.cloneNode(true))));
    };

    const toggle = (row, open) => {
      row.button.setAttribute("aria-expanded", open);
      row.card.hidden = !open;
      if (open) fill(row.card, row.claim, row.group);
    };

    const rowOf = (claim, group, id) => {
      const button = made("button", { type: "button", "aria-expanded": "false", "aria-controls": id },
        made("span", { class: "name" }, claim.words), made("span", { class: "strip" }), made("span", { class: "value" }, claim.verdict));
      button.setAttribute("aria-label", `${claim.words}: ${claim.verdict}${claim.measured ? `, measured ${interval(claim.measured, DIGITS)}` : ""}`);
      const card = made("div", { class: "live-card", id });
      card.hidden = true;
      const row = { claim, group, button, card };
      button.addEventListener("click", () => {
        const open = card.hidden;
        toggle(row, open);
        view.claim = open ? claim.row : "";
        remember();
      });
      return row;
    };

    const show = () => {
      const open = new Set(shown.flatMap(({ rows }) => rows).filter(({ card }) => !card.hidden).map(({ claim }) => claim.row));
      if (view.claim) open.add(view.claim);
      shown = [];
      for (const [g, group] of groups.entries()) {
        const claims = group.claims.filter((claim) => (!view.paper || group.paper === view.paper) && (!view.verdict || claim.verdict === view.verdict));
        if (claims.length) shown.push({ group, axis: made("div", { class: "live-axis" }), rows: claims.map((claim, n) => rowOf(claim, group, `${box.closest("figure").id}-${g}-${n}`)) });
      }
      lists.replaceChildren(...shown.flatMap(({ group, rows, axis }) => [
        made("p", { class: "live-title" }, made("strong", {}, group.paper), `: ${group.unit}`),
        made("ul", { class: "live-rows", "aria-label": `${group.paper}: ${group.unit}` }, ...rows.map(({ button, card }) => made("li", {}, button, card))), axis]));
      const number = shown.flatMap(({ rows }) => rows).length;
      const counted = verdicts.map(([verdict]) => [verdict, shown.flatMap(({ rows }) => rows).filter(({ claim }) => claim.verdict === verdict).length]).filter(([, n]) => n);
      words.textContent = `${number === all.length ? `${number} claims` : `${number} of ${all.length} claims`}${number ? `: ${counted.map(([verdict, n]) => `${n} ${verdict}`).join(", ")}` : ""}.`;
      draw();
      for (const row of shown.flatMap(({ rows }) => rows)) if (open.has(row.claim.row)) toggle(row, true);
    };

    const draw = () => {
      for (const { group, rows, axis: below } of shown) {
        if (!group.axis) continue;  // nothing of it was measured
        const axis = live.axis(rows[0].button.querySelector(".strip").clientWidth, ...group.axis);
        for (const { claim, button, card } of rows) {
          const svg = axis.strip(HEIGHT);
          shade(svg, axis, claim.holds, group.axis, HEIGHT);
          if (claim.measured) live.mark(svg, axis, claim.measured, colour(claim), interval(claim.measured, DIGITS));
          if (claim.verdict === undecisive) svg.classList.add("undecisive");
          button.querySelector(".strip").replaceChildren(svg);
          if (!card.hidden) fill(card, claim, group);
        }
        below.replaceChildren(made("span", { class: "strip" }, axis.labels(group.unit)));
      }
    };

    const filters = [
      ["paper", "both papers", papers],
      ["verdict", "every verdict", verdicts.map(([verdict]) => verdict)],
    ].filter(([, , options]) => options.length > 1);
    const selects = filters.map(([name, any, options]) => {
      const label = live.choice(name, [any, ...options], 0, (n) => {
        view[name] = n ? options[n - 1] : "";
        show();
        remember();
      });
      choice.append(label);
      return [name, options, label.lastChild];
    });

    const remember = () => write(Object.entries(view).filter(([, value]) => value));
    const take = (asked) => {
      for (const [name, options, select] of selects) {
        view[name] = options.includes(asked.get(name)) ? asked.get(name) : "";
        select.selectedIndex = 1 + options.indexOf(view[name]);
      }
      view.claim = all.some(({ row }) => row === asked.get("claim")) ? asked.get("claim") : "";
      show();
    };

    box.append(choice, words, lists);
    live.begin(box, () => (shown.length ? draw() : show()));
    const write = live.address(box, take);
  };

  for (const box of document.querySelectorAll(".claims-explorer")) explore(box);
})();

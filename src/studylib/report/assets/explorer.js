// The grid as a map: every cell by its accuracy, hover says which one it is, a click or the choices pick one, and its curve stands
// beside that of the cell picked before.
(() => {
  "use strict";
  const { drawn, made, percent, ticks } = live;
  const CURVES = 250;  // pixels
  const name = (factor, value) => {
    if (factor === "epochs") return `${value} epoch${value === 1 ? "" : "s"}`;
    return typeof value === "number" ? `${factor} ${value}` : value;
  };

  const explore = (box) => {
    const { factors, start, cells, curves, baselines, colours } = live.data(box);
    const trained = cells.filter((cell) => cell.accuracy[0] !== null);
    const highest = Math.max(...trained.map((cell) => cell.accuracy[0]), ...Object.values(baselines));
    const strongest = Math.max(...Object.values(baselines));
    const losses = curves.flat().filter((loss) => loss !== null).sort((a, b) => a - b);
    const worst = losses[Math.floor(0.995 * (losses.length - 1))] * 1.03;  // one that diverged is not to flatten all others
    const longest = Math.max(...factors.find(([factor]) => factor === "epochs")[1]);
    const architectures = factors[0][1];
    let at = [...start];
    let before = null;  // the settings of the cell picked before

    const index = (settings) => factors.reduce((sum, [, levels], n) => sum * levels.length + settings[n], 0);
    const settingsOf = (number) => {
      const settings = [];
      for (const [, levels] of [...factors].reverse()) {
        settings.unshift(number % levels.length);
        number = Math.floor(number / levels.length);
      }
      return settings;
    };
    const collapsed = (cell) => cell.trouble?.startsWith("collapsed");
    const colour = (settings) => colours[architectures[settings[0]]];

    const choice = live.choices("Pick a cell");
    const selects = factors.map(([factor, levels], n) => {
      const label = live.choice(factor, levels, at[n], (picked) => pick(at.with(n, picked)));
      if (levels.length > 1) choice.append(label);
      return label.querySelector("select");
    });
    const words = made("output");
    const beside = made("p", { class: "live-hint beside" });
    const hovered = made("p", { class: "live-hint hovered", "aria-hidden": "true" });
    const map = drawn("svg", { class: "map", "aria-hidden": "true" });
    const svg = drawn("svg", { role: "img" });

    const sentence = (settings) => {
      const cell = cells[index(settings)];
      const said = factors.flatMap(([factor, levels], n) => (n < 3 || levels.length > 1 ? [name(factor, levels[settings[n]])] : [])).join(", ");
      const [accuracy, low, high] = cell.accuracy;
      const trouble = cell.trouble ? ` Status: ${cell.trouble}.` : "";
      if (accuracy === null) return [said, `:${trouble}`];
      const others = trained.filter((other) => other !== cell);
      const place = 1 + others.filter((other) => other.accuracy[0] > accuracy).length;
      const equal = others.filter((other) => other.accuracy[0] === accuracy).length;
      const within = others.filter((other) => other.accuracy[0] >= low && other.accuracy[0] <= high).length;
      return [said,
        `: right for ${percent(accuracy)} of ${cell.cases.toLocaleString("en")} test cases [${percent(low)}, ${percent(high)}], ` +
        `place ${place} of ${trained.length.toLocaleString("en")}${equal ? ` (shared with ${equal})` : ""}. ` +
        `The accuracies of ${within} of the ${others.length.toLocaleString("en")} others lie within its interval.${trouble}`];
    };

    // All combinations of some factors side by side within a length, with a gap after each run of the last factor.
    const spread = (those, length) => {
      const runs = those.map((_, d) => those.slice(d + 1).reduce((product, n) => product * factors[n][1].length, 1));
      const count = runs[0] * factors[those[0]][1].length;
      const inner = factors[those.at(-1)][1].length;
      const step = (length - 6 * (count / inner - 1)) / count;
      const level = (n, d) => Math.floor(n / runs[d]) % factors[those[d]][1].length;
      return {
        step,
        starts: Array.from({ length: count }, (_, n) => n * step + 6 * Math.floor(n / inner)),
        levels: Array.from({ length: count }, (_, n) => those.map((factor, d) => [factor, level(n, d)])),
        runs: runs.slice(0, 2),
      };
    };
    // The names of the two outer factors' levels, each in the middle of its run.
    const label = ({ starts, step, levels, runs }, write) => {
      for (const [d, run] of runs.entries()) {
        for (let n = 0; n < starts.length; n += run) {
          const [factor, level] = levels[n][d];
          write((starts[n] + starts[n + run - 1] + step) / 2, String(factors[factor][1][level]), d);
        }
      }
    };

    const drawMap = (width) => {
      const wide = width >= 640;
      const [down, across] = wide ? [[0, 1], [2, 3, 4]] : [[2, 3, 4], [0, 1]];
      const left = wide ? 168 : 104;
      const top = wide ? 40 : 96;
      const columns = spread(across, width - left - 2);
      const sizes = down.map((n) => factors[n][1].length);
      const rows = spread(down, (wide ? 20 : 17) * sizes.reduce((product, size) => product * size, 1));
      const height = top + rows.starts.at(-1) + rows.step + 2;
      map.setAttribute("viewBox", `0 0 ${width} ${height}`);
      map.replaceChildren();
      label(columns, (middle, text, line) => {
        const x = left + middle;
        if (wide) map.append(drawn("text", { x, y: line ? 32 : 14, "text-anchor": "middle" }, text));
        else if (line) map.append(drawn("text", { x: x + 4, y: top - 6, transform: `rotate(-90 ${x + 4} ${top - 6})` }, text));
        else for (const [n, part] of text.split(/ (?=\()/).entries()) map.append(drawn("text", { class: "small", x, y: 12 + 13 * n, "text-anchor": "middle" }, part));
      });
      label(rows, (middle, text, line) => map.append(drawn("text", { x: line ? left - 8 : 0, y: top + middle + 4, "text-anchor": line ? "end" : "start" }, text)));
      const rings = [];
      for (const [r, row] of rows.starts.entries()) {
        for (const [c, column] of columns.starts.entries()) {
          const settings = [...at];
          for (const [factor, level] of [...rows.levels[r], ...columns.levels[c]]) settings[factor] = level;
          const cell = cells[index(settings)];
          const [x, y, w, h] = [left + column + 0.5, top + row + 0.5, columns.step - 1, rows.step - 1];
          const share = cell.accuracy[0] === null ? 0 : cell.accuracy[0] / highest;
          const kind = cell.accuracy[0] === null ? "cell none" : cell.accuracy[0] > strongest ? "cell above" : "cell";
          const rect = drawn("rect", { class: kind, x, y, width: w, height: h, "fill-opacity": (0.06 + 0.94 * share).toFixed(3), "data-cell": index(settings) });
          map.append(rect);
          if (collapsed(cell)) map.append(drawn("path", { class: "cross", d: `M${x + 2} ${y + 2}L${x + w - 2} ${y + h - 2}M${x + w - 2} ${y + 2}L${x + 2} ${y + h - 2}` }));
          if (index(settings) === index(at)) rings.push(drawn("rect", { class: "here", x, y, width: w, height: h }));
          else if (before && index(settings) === index(before)) rings.push(drawn("rect", { class: "earlier", x, y, width: w, height: h }));
        }
      }
      map.append(...rings);
    };

    const line = (curve, x, y) => curve.map((loss, n) => `${n && curve[n - 1] !== null ? "L" : "M"}${x(n + 1).toFixed(1)} ${y(loss ?? worst).toFixed(1)}`).join("");
    const drawCurves = (width) => {
      const inner = { left: 40, right: width - 12, top: 30, bottom: CURVES - 40 };
      const across = (epoch) => inner.left + (epoch / longest) * (inner.right - inner.left);
      const up = (loss) => Math.max(inner.top, inner.bottom - (loss / worst) * (inner.bottom - inner.top));
      svg.setAttribute("viewBox", `0 0 ${width} ${CURVES}`);
      svg.replaceChildren(
        drawn("text", { x: 0, y: 14, class: "title" }, before ? "Training loss; dashed: the cell picked before" : "Training loss"),
        drawn("path", { class: "axis", d: `M${inner.left} ${inner.bottom}H${inner.right}` }),
        drawn("text", { x: (inner.left + inner.right) / 2, y: inner.bottom + 34, "text-anchor": "middle" }, "epoch"));
      for (const tick of ticks(0, longest, 5)) svg.append(drawn("text", { x: across(tick), y: inner.bottom + 16, "text-anchor": "middle" }, String(tick)));
      for (const tick of ticks(0, worst, 5)) svg.append(drawn("text", { x: inner.left - 8, y: up(tick) + 4, "text-anchor": "end" }, String(+tick.toFixed(6))));
      for (const other of curves) svg.append(drawn("path", { class: "other", d: line(other, across, up) }));
      for (const [kind, settings] of [["second", before], ["curve", at]]) {
        if (!settings) continue;
        const curve = curves[cells[index(settings)].curve];
        const own = curve.slice(0, factors[4][1][settings[4]]);
        if (kind === "curve") svg.append(drawn("path", { class: "rest", stroke: colour(settings), d: line(curve, across, up) }));
        svg.append(drawn("path", { class: kind, stroke: colour(settings), d: line(own, across, up) }));
        if (own.length) svg.append(drawn("circle", { cx: across(own.length), cy: up(own.at(-1) ?? worst), r: 5, fill: colour(settings) }));
      }
    };

    const show = () => {
      const width = Math.max(280, box.clientWidth);
      const [said, rest] = sentence(at);
      words.replaceChildren(made("strong", {}, said), rest);
      svg.setAttribute("aria-label", said + rest);
      beside.hidden = !before;
      if (before) beside.textContent = `Picked before: ${sentence(before).join("")}`;
      for (const [n, select] of selects.entries()) select.selectedIndex = at[n];
      drawMap(width);
      drawCurves(width);
    };
    const pick = (settings) => {
      if (index(settings) === index(at)) return;
      [before, at] = [at, settings];
      show();
      sent({ cell: index(at), before: index(before) });
    };
    const sent = live.address(box, (view) => {
      const given = (key) => { const number = Number(view.get(key) ?? NaN); return cells[number] ? settingsOf(number) : null; };
      [at, before] = [given("cell") ?? at, given("before")];
      show();
    });

    const under = (event) => event.target.closest("[data-cell]")?.dataset.cell;
    map.addEventListener("pointermove", (event) => { hovered.textContent = under(event) ? sentence(settingsOf(Number(under(event)))).join("") : hint; });
    map.addEventListener("pointerleave", () => { hovered.textContent = hint; });
    map.addEventListener("click", (event) => { if (under(event)) pick(settingsOf(Number(under(event)))); });
    const named = Object.entries(baselines).map(([label, share]) => `${label} ${percent(share)}`).join(", ");
    const hint = `The stronger the colour, the more accurate (at most ${percent(highest)}); a cross is a collapsed cell; an orange frame is above every baseline (${named}). ` +
      "Within a batch size the epochs grow. Click a cell to see its curve.";
    hovered.textContent = hint;
    box.append(choice, words, beside, map, hovered, svg);
    live.begin(box, show);
  };

  for (const box of document.querySelectorAll(".explorer")) explore(box);
})();

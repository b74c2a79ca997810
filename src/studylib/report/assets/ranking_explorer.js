// The ranking: a metric of every model on a data set under a protocol and a split, and the difference of two that are picked.
(() => {
  "use strict";
  const { made, fixed, interval } = live;
  const DIGITS = 4;
  const HEIGHT = 30;

  const explore = (box) => {
    const { datasets, metrics, protocols, models, cases, values, metric: tested, margin, pairs, possible } = live.data(box);
    const view = { data: datasets[0].splits[0][0], metric: tested, protocol: protocols[0][0], models: [] };
    const log = () => datasets.find(({ splits }) => splits.some(([key]) => key === view.data));
    const named = (list, key) => list.find(([own]) => own === key);
    const number = (n) => values[view.data][view.protocol][view.metric][n];
    const name = (n) => models[n][1];

    const choice = live.choices("Pick what is ranked");
    const words = made("output");
    const list = made("ol", { class: "live-rows", "aria-label": "Models, the best first" });
    const below = made("div", { class: "live-axis" });
    const hint = made("p", { class: "live-hint" });
    const comparison = made("div", { class: "live-card", role: "status" });
    const rows = new Map();

    const ranked = () => models.map((_, n) => n).filter(number).sort((a, b) => number(b)[0] - number(a)[0]);

    const showChoices = () => {
      const held = document.activeElement.name;
      const { splits } = log();
      const choose = (name, options, at, own) => (options.length < 2 ? [] : [live.choice(name, options, at, (index) => {
        own(index);
        show();
        remember();
      })]);
      const at = (list, key) => list.findIndex(([own]) => own === key);
      choice.replaceChildren(
        ...choose("data set", datasets.map(({ name }) => name), datasets.indexOf(log()), (n) => { view.data = datasets[n].splits[0][0]; }),
        ...choose("metric", metrics.map(([, name]) => name), at(metrics, view.metric), (n) => { view.metric = metrics[n][0]; }),
        ...choose("ranked against", protocols.map(([, name]) => name), at(protocols, view.protocol), (n) => { view.protocol = protocols[n][0]; }),
        ...choose("split", splits.map(([, name]) => name), at(splits, view.data), (n) => { view.data = splits[n][0]; }));
      if (held) choice.querySelector(`[name="${held}"]`)?.focus();
    };

    // Of a model: over how many others its lead is significant.
    const significant = (n) => pairs[view.data][view.protocol].filter(([higher, , , , , , better]) => higher === n && better).length;

    const sentence = () => {
      const [best, ...others] = ranked();
      const split = log().splits.length > 1 ? ` (${named(log().splits, view.data)[1]})` : "";
      const where = `${log().name}${split}`;
      const rest = others.length ? `: ${interval(number(best), DIGITS)}, of ${models.length} models on ${cases[view.data].toLocaleString("en")} cases.` : `: ${interval(number(best), DIGITS)}.`;
      const better = significant(best);
      const than = others.length === 1 ? "the other" : better < others.length ? `${better} of the ${others.length} others` : others.length === 2 ? "both others" : `all ${others.length} others`;
      const lead = view.metric === tested && others.length ? ` It is ${better || others.length > 1 ? "" : "not "}significantly better than ${than}.` : "";
      return [made("strong", {}, name(best)), ` has the highest ${named(metrics, view.metric)[1]} ${named(protocols, view.protocol)[2]} on ${where}${rest}${lead}`];
    };

    const pick = (n) => {
      const key = models[n][0];
      view.models = view.models.includes(key) ? view.models.filter((own) => own !== key) : [...view.models, key].slice(-2);
      showPicked();
      remember();
    };

    const show = () => {
      showChoices();
      words.replaceChildren(...sentence());
      rows.clear();
      for (const [place, n] of ranked().entries()) {
        const [mean, low, high] = number(n);
        const button = made("button", { type: "button" },
          made("span", { class: "name" }, name(n)), made("span", { class: "strip" }), made("span", { class: "value" }, fixed(mean, DIGITS)));
        button.setAttribute("aria-label", `${name(n)}: ${fixed(mean, DIGITS)}, 95% confidence interval ${fixed(low, DIGITS)} to ${fixed(high, DIGITS)}, place ${place + 1} of ${models.length}`);
        button.addEventListener("click", () => pick(n));
        rows.set(n, button);
      }
      list.replaceChildren(...[...rows.values()].map((button) => made("li", {}, button)));
      draw();
      showPicked();
    };

    const draw = () => {
      const width = list.querySelector(".strip").clientWidth;
      const best = view.protocol === "full" ? possible[view.metric][view.data] : undefined;
      const top = 1.04 * Math.max(best ?? 0, 1e-9, ...[...rows.keys()].map((n) => number(n)[2]));
      const axis = live.axis(width, 0, top);
      for (const [n, button] of rows) {
        const svg = axis.strip(HEIGHT);
        if (best !== undefined) svg.append(live.drawn("path", { class: "possible", d: `M${axis.scale(best).toFixed(1)} 0V${HEIGHT}` }));
        const [, low, high] = number(n);
        live.mark(svg, axis, number(n), models[n][2], `[${fixed(low, DIGITS)}, ${fixed(high, DIGITS)}]`);
        button.querySelector(".strip").replaceChildren(svg);
      }
      below.replaceChildren(made("span", { class: "strip" }, axis.labels(named(metrics, view.metric)[1] + (best === undefined ? "" : "; dashed: best possible"))));
    };

    const showPicked = () => {
      const picked = view.models.map((key) => models.findIndex(([own]) => own === key)).filter((n) => rows.has(n));
      for (const [n, button] of rows) button.setAttribute("aria-pressed", picked.includes(n));
      hint.textContent = picked.length === 1 ? `${name(picked[0])} is picked: pick another model to see their difference.` : "Point at a model for its interval. Pick two to see their difference and its test.";
      hint.hidden = picked.length === 2;
      const pair = picked.length === 2 && pairs[view.data][view.protocol].find(([one, other]) => picked.includes(one) && picked.includes(other));
      comparison.hidden = !pair;
      comparison.replaceChildren();
      if (!pair) return;
      const [higher, lower, difference, low, high, p, better, equivalent] = pair;
      const reach = margin * values[view.data][view.protocol][tested][higher][0];
      const strip = made("div", { class: "strip" });
      comparison.append(
        made("p", {}, made("strong", {}, `${name(higher)} less ${name(lower)}`),
          `: ${interval([difference, low, high], DIGITS)} in ${named(metrics, tested)[1]} ${named(protocols, view.protocol)[2]}. `,
          `The difference is ${better ? "significant" : "not significant"} (p ${/^[<≤]/.test(p) ? p : `= ${p}`} after Holm’s correction for ${pairs[view.data][view.protocol].length === 1 ? "the one pair" : `the ${pairs[view.data][view.protocol].length} pairs`} of this data set). `,
          equivalent ? `${better ? "Yet the" : "The"} two are equivalent: the interval is within a tenth of the higher value, ±${fixed(reach, DIGITS)}.` : `The two are not shown to be equivalent, that is within a tenth of the higher value, ±${fixed(reach, DIGITS)}.`,
          view.metric === tested ? "" : ` Pairs are tested by ${named(metrics, tested)[1]}, whatever metric is shown above.`), strip);
      const most = 1.1 * Math.max(reach, high, -low, 1e-9);
      const axis = live.axis(strip.clientWidth, -most, most);
      const svg = axis.strip(HEIGHT);
      svg.prepend(live.drawn("rect", { class: "band", x: axis.scale(-reach), y: 0, width: axis.scale(reach) - axis.scale(-reach), height: HEIGHT }));
      live.mark(svg, axis, [difference, low, high], "currentColor");
      strip.append(svg, axis.labels("difference; shaded: equivalent"));
    };

    const remember = () => write([["data", view.data], ["metric", view.metric], ["protocol", view.protocol], ...view.models.map((key) => ["model", key])]);
    const take = (asked) => {
      if (values[asked.get("data")]) view.data = asked.get("data");
      if (named(metrics, asked.get("metric"))) view.metric = asked.get("metric");
      if (named(protocols, asked.get("protocol"))) view.protocol = asked.get("protocol");
      view.models = models.map(([key]) => key).filter((key) => asked.getAll("model").includes(key)).slice(0, 2);
      show();
    };

    box.append(choice, words, list, below, hint, comparison);
    live.begin(box, () => (rows.size ? (draw(), showPicked()) : show()));
    const write = live.address(box, take);
  };

  for (const box of document.querySelectorAll(".ranking-explorer")) explore(box);
})();

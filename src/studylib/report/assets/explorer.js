// The explorer: a cell of the grid, picked by its settings, with its learning curve and its place among all cells.
(() => {
  "use strict";
  const HEIGHT = 250;
  const { drawn, made, percent, ticks } = live;

  // A panel has a title, a horizontal axis from 0 to `top`, and room for what is drawn in it.
  const panel = (x, y, width, left, title, label, top, format) => {
    const inner = { left: x + left, right: x + width - 12, top: y + 30, bottom: y + HEIGHT - 40 };
    const scale = (value) => inner.left + (value / top) * (inner.right - inner.left);
    const group = drawn("g", {},
      drawn("text", { x, y: y + 14, class: "title" }, title),
      drawn("path", { class: "axis", d: `M${inner.left} ${inner.bottom}H${inner.right}` }),
      drawn("text", { x: (inner.left + inner.right) / 2, y: inner.bottom + 34, "text-anchor": "middle" }, label));
    for (const tick of ticks(0, top, 5)) {
      group.append(drawn("text", { x: scale(tick), y: inner.bottom + 16, "text-anchor": "middle" }, format(tick)));
    }
    return { group, inner, scale };
  };

  const explore = (box) => {
    const { factors, start, cells, curves, baselines, colours } = live.data(box);
    const at = [...start];
    const trained = cells.filter((cell) => cell.accuracy[0] !== null);
    const highest = Math.max(...trained.map((cell) => cell.accuracy[2]), ...Object.values(baselines)) * 1.03;
    const losses = curves.flat().filter((loss) => loss !== null).sort((a, b) => a - b);
    const worst = losses[Math.floor(0.995 * (losses.length - 1))] * 1.03;  // one that diverged is not to flatten all others
    const longest = Math.max(...factors.find(([name]) => name === "epochs")[1]);
    const architectures = factors[0][1];
    const level = (name) => {
      const n = factors.findIndex(([own]) => own === name);
      return factors[n][1][at[n]];
    };
    const index = () => factors.reduce((sum, [, levels], n) => sum * levels.length + at[n], 0);

    const choice = live.choices("Pick a cell");
    for (const [n, [name, levels]] of factors.entries()) {
      if (levels.length < 2) continue;
      choice.append(live.choice(name, levels, at[n], (picked) => {
        at[n] = picked;
        show();
      }));
    }
    const words = made("output");
    const svg = drawn("svg", { role: "img" });

    const sentence = (cell) => {
      const settings = factors.filter(([, levels], n) => n < 3 || levels.length > 1)
        .map(([name]) => (["batch size", "seed"].includes(name) ? `${name} ${level(name)}` : name === "epochs" ? `${level(name)} epoch${level(name) === 1 ? "" : "s"}` : level(name)));
      const [accuracy, low, high] = cell.accuracy;
      const trouble = cell.trouble ? ` Status: ${cell.trouble}.` : "";
      if (accuracy === null) return [settings.join(", "), `:${trouble}`];
      const others = trained.filter((other) => other !== cell);
      const place = 1 + others.filter((other) => other.accuracy[0] > accuracy).length;
      const equal = others.filter((other) => other.accuracy[0] === accuracy).length;
      const within = others.filter((other) => other.accuracy[0] >= low && other.accuracy[0] <= high).length;
      return [settings.join(", "),
        `: right for ${percent(accuracy)} of ${cell.cases.toLocaleString("en")} test cases [${percent(low)}, ${percent(high)}], ` +
        `place ${place} of ${trained.length}${equal ? ` (shared with ${equal})` : ""}. ` +
        `The accuracies of ${within} of the ${others.length} others lie within its interval.${trouble}`];
    };

    const line = (curve, x, y) => curve.map((loss, n) => `${n && curve[n - 1] !== null ? "L" : "M"}${x(n + 1).toFixed(1)} ${y(loss ?? worst).toFixed(1)}`).join("");

    const drawCurve = (cell, colour, x, width) => {
      const { group, inner, scale } = panel(x, 0, width, 34, "Its training loss, in grey the others", "epoch", longest, String);
      const height = (loss) => Math.max(inner.top, inner.bottom - (loss / worst) * (inner.bottom - inner.top));
      for (const tick of ticks(0, worst, 5)) {
        group.append(drawn("text", { x: inner.left - 8, y: height(tick) + 4, "text-anchor": "end" }, String(+tick.toFixed(6))));
      }
      for (const other of curves) group.append(drawn("path", { class: "other", d: line(other, scale, height) }));
      const curve = curves[cell.curve];
      const own = curve.slice(0, level("epochs"));
      group.append(drawn("path", { class: "rest", stroke: colour, d: line(curve, scale, height) }));
      group.append(drawn("path", { class: "curve", stroke: colour, d: line(own, scale, height) }));
      if (own.length) group.append(drawn("circle", { cx: scale(own.length), cy: height(own.at(-1) ?? worst), r: 5, fill: colour }));
      return group;
    };

    const drawStrip = (cell, colour, x, y, width) => {
      const { group, inner, scale } = panel(x, y, width, 62, "Its test accuracy [95%] among all cells", "test accuracy", highest, (share) => percent(share, 0));
      const middle = (row) => inner.top + 18 + ((row + 0.5) * (inner.bottom - inner.top - 18)) / architectures.length;
      for (const [row, name] of architectures.entries()) {
        group.append(drawn("text", { x: inner.left - 8, y: middle(row) + 4, "text-anchor": "end" }, name));
        const size = cells.length / architectures.length;
        for (const { accuracy } of cells.slice(row * size, (row + 1) * size)) {
          if (accuracy[0] === null) continue;
          group.append(drawn("path", { class: "tick", stroke: colours[name], d: `M${scale(accuracy[0])} ${middle(row) - 13}v26` }));
        }
      }
      for (const [n, [name, share]] of Object.entries(baselines).entries()) {
        const toTheRight = scale(share) < (inner.left + inner.right) / 2;
        group.append(drawn("path", { class: "baseline", stroke: colours[name], d: `M${scale(share)} ${inner.top + 12 * n}V${inner.bottom}` }));
        group.append(drawn("text", { x: scale(share) + (toTheRight ? 5 : -5), y: inner.top + 9 + 12 * n, "text-anchor": toTheRight ? "start" : "end" }, name));
      }
      const [accuracy, low, high] = cell.accuracy;
      if (accuracy !== null) {
        const row = middle(at[0]);
        group.append(drawn("path", { class: "interval", d: `M${scale(low)} ${row}H${scale(high)}` }));
        group.append(drawn("circle", { class: "here", cx: scale(accuracy), cy: row, r: 7, fill: colour }));
      }
      return group;
    };

    const show = () => {
      const width = Math.max(280, box.clientWidth);
      const cell = cells[index()];
      const colour = colours[architectures[at[0]]];
      const [name, rest] = sentence(cell);
      words.replaceChildren(made("strong", {}, name), rest);
      svg.setAttribute("aria-label", name + rest);
      const beside = width >= 640;
      const left = beside ? 0.42 * width : width;
      svg.setAttribute("viewBox", `0 0 ${width} ${beside ? HEIGHT : 2 * HEIGHT + 16}`);
      svg.replaceChildren(drawCurve(cell, colour, 0, left), beside ? drawStrip(cell, colour, left + 16, 0, width - left - 16) : drawStrip(cell, colour, 0, HEIGHT + 16, width));
    };

    box.append(choice, words, svg);
    live.begin(box, show);
  };

  for (const box of document.querySelectorAll(".explorer")) explore(box);
})();

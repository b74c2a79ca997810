// What the figures that a reader can work with have in common: elements, ticks, choices, strips on one axis, the address.
const live = (() => {
  "use strict";

  const filled = (element, attributes, children) => {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  // Children are elements or text: what comes from data is never markup.
  const made = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
  const drawn = (name, attributes = {}, ...children) =>
    filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
  const fixed = (value, digits) => (Number(value.toFixed(digits)) + 0).toFixed(digits).replace("-", "−");
  const interval = ([mean, low, high], digits) => `${fixed(mean, digits)} [${fixed(low, digits)}, ${fixed(high, digits)}]`;

  // Round numbers from `low` to `high`, about so many.
  const ticks = (low, high, about) => {
    const rough = (high - low) / about;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, n) => +((first + n) * step).toPrecision(12));
  };

  const choice = (name, options, index, pick) => {
    const select = made("select", { name }, ...options.map((option) => made("option", {}, String(option))));
    select.selectedIndex = index;
    select.addEventListener("change", () => pick(select.selectedIndex));
    return made("label", {}, name, select);
  };
  const choices = (name) => made("div", { class: "live-choice", role: "group", "aria-label": name });

  // A horizontal axis of `width` pixels from `low` to `high`: `strip` gives a drawing with its lines, `labels` its numbers.
  const axis = (width, low, high, { left = 8, right = 8, format = (value) => String(value).replace("-", "−") } = {}) => {
    const scale = (value) => left + ((value - low) / (high - low)) * (width - left - right);
    const marks = ticks(low, high, Math.max(2, Math.min(6, width / 90)));
    const canvas = (height) => drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    const strip = (height) => {
      const svg = canvas(height);
      for (const mark of marks) svg.append(drawn("path", { class: mark === 0 ? "zero" : "mark", d: `M${scale(mark).toFixed(1)} 0V${height}` }));
      return svg;
    };
    const labels = (name) => {
      const svg = canvas(36);
      for (const mark of marks) svg.append(drawn("text", { x: scale(mark).toFixed(1), y: 13, "text-anchor": "middle" }, format(mark)));
      svg.append(drawn("text", { x: width - right, y: 31, "text-anchor": "end" }, name));
      return svg;
    };
    return { scale, strip, labels };
  };

  // An interval as a line with a dot, an arrow where it goes on beyond the axis; with `text`, its bounds beside it, seen while
  // its row is pointed at or has the focus.
  const mark = (svg, { scale }, [mean, low, high], colour, text = "") => {
    const { width, height } = svg.viewBox.baseVal;
    const middle = height / 2;
    const [from, to] = [Math.max(scale(low), 0), Math.min(scale(high), width)];
    svg.append(drawn("path", { class: "interval", stroke: colour, d: `M${from.toFixed(1)} ${middle}H${to.toFixed(1)}` }));
    for (const [beyond, x, inward] of [[scale(low) < 0, 0, 6], [scale(high) > width, width, -6]]) {
      if (beyond) svg.append(drawn("path", { class: "interval", stroke: colour, d: `M${x + inward} ${middle - 5}L${x} ${middle}L${x + inward} ${middle + 5}` }));
    }
    svg.append(drawn("circle", { cx: scale(mean).toFixed(1), cy: middle, r: 5, fill: colour }));
    if (!text) return;
    const after = to + 8 + 7 * text.length < width;
    const x = after ? Math.max(to, scale(mean) + 5) + 6 : Math.min(from, scale(mean) - 5) - 6;
    svg.append(drawn("text", { class: "bounds", x, y: middle + 4, "text-anchor": after ? "start" : "end" }, text));
  };

  // The drawing of the notebook is for print and for readers without script; `draw` is called for each new width.
  const begin = (box, draw) => {
    box.closest("figure").classList.add("is-live");
    box.hidden = false;
    let seen = 0;
    new ResizeObserver(() => {
      const width = box.clientWidth;
      if (width === seen || width === 0) return;  // 0: in print it is not there
      seen = width;
      draw();
    }).observe(box);
    seen = box.clientWidth;
    draw();
  };
  const data = (box) => JSON.parse(box.querySelector("script").textContent);

  // The view of a figure stands in the address behind the figure's own name, so that it can be sent: #fig-x?data=y&metric=z.
  // A plain #fig-x, and all other links of the page, stay what they are.
  const address = (box, show) => {
    const start = `#${box.closest("figure").id}?`;
    const read = () => {
      if (!location.hash.startsWith(start)) return;
      show(new URLSearchParams(location.hash.slice(start.length)));
      box.closest("figure").scrollIntoView();
    };
    addEventListener("hashchange", read);
    read();
    return (view) => history.replaceState(null, "", start + new URLSearchParams(view));
  };

  return { made, drawn, percent, fixed, interval, ticks, choice, choices, axis, mark, begin, data, address };
})();

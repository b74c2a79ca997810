// The recommender: a GRU4Rec that runs here, its weights in 8 bits; readers change the session and see its next ten.
(() => {
  "use strict";
  const LISTED = 10;
  const ORDERS = 50;

  // The network, as `studylib.models.gru4rec` has it: an embedding, a GRU (`torch.nn.GRU`), a linear map where the sizes differ.

  const array = (Type, text) => new Type(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const matrix = ({ values, scales }) => {
    const [numbers, of] = [array(Int8Array, values), array(Float32Array, scales)];
    const width = numbers.length / of.length;
    return { numbers: Float32Array.from(numbers, (number, n) => number * of[Math.floor(n / width)]), width, rows: of.length };
  };
  const times = ({ numbers, width, rows }, vector, bias) => {
    const product = new Float64Array(rows);
    for (let row = 0; row < rows; row += 1) {
      let sum = bias ? bias[row] : 0;
      for (let n = 0, at = row * width; n < width; n += 1, at += 1) sum += numbers[at] * vector[n];
      product[row] = sum;
    }
    return product;
  };
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  const network = (weights) => {
    const table = (name) => weights[name] && matrix(weights[name]);
    const vector = (name) => weights[name] && array(Float32Array, weights[name]);
    const input = table("tables.input");
    const output = table("tables.output") ?? input;
    const bias = vector("tables.bias");
    const gru = "layers.0.layer.";
    const [into, intoBias] = [table(`${gru}weight_ih_l0`), vector(`${gru}bias_ih_l0`)];
    const [kernel, kernelBias] = [table(`${gru}weight_hh_l0`), vector(`${gru}bias_hh_l0`)];
    const [head, headBias] = [table("head.0.weight"), vector("head.0.bias")];
    const size = kernel.width;

    // The score of every item as the next of a session.
    return (session) => {
      const state = new Float64Array(size);
      for (const item of session) {
        const x = times(into, input.numbers.subarray(item * input.width, (item + 1) * input.width), intoBias);
        const h = times(kernel, state, kernelBias);
        for (let n = 0; n < size; n += 1) {
          const [r, z] = [sigmoid(x[n] + h[n]), sigmoid(x[size + n] + h[size + n])];
          const candidate = Math.tanh(x[2 * size + n] + r * h[2 * size + n]);
          state[n] = (1 - z) * candidate + z * state[n];
        }
      }
      return times(output, head ? times(head, state, headBias) : state, bias);
    };
  };

  // The best of them; of equal ones the first item.
  const best = (scores, without) => {
    const found = [];
    for (let item = 0; item < scores.length; item += 1) {
      if (without.has(item) || (found.length === LISTED && scores[item] <= scores[found[LISTED - 1]])) continue;
      let place = found.length;
      while (place > 0 && scores[item] > scores[found[place - 1]]) place -= 1;
      found.splice(place, 0, item);
      if (found.length > LISTED) found.pop();
    }
    return found.map((item) => [item, scores[item]]);
  };

  // Orders of a session.

  const shuffled = (session, random) => {
    const order = [...session];
    for (let n = order.length - 1; n > 0; n -= 1) {
      const other = Math.floor(random() * (n + 1));
      [order[n], order[other]] = [order[other], order[n]];
    }
    return order;
  };
  const permutations = (session) => (session.length < 2 ? [session] : session.flatMap((item, n) => permutations(session.toSpliced(n, 1)).map((rest) => [item, ...rest])));

  // All other orders of a short session, so many drawn ones of a longer one: the same whenever it is asked.
  const otherOrders = (session) => {
    let drawn = 1;
    const random = () => (drawn = (drawn * 16807) % 2147483647) / 2147483647;
    const orders = session.length < 5 ? permutations(session) : Array.from({ length: ORDERS }, () => shuffled(session, random));
    const distinct = new Map(orders.map((order) => [order.join(), order]));
    distinct.delete(session.join());
    return [...distinct.values()];
  };

  const made = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const all = (list) => (list.length === LISTED ? "the ten" : `the ${list.length}`);

  const recommend = (box, number) => {
    const { items, session: start, history, popular, weights } = JSON.parse(box.querySelector("script").textContent);
    const score = network(weights);
    const nextTen = (session) => (session.length ? best(score(session.slice(-history)), new Set(session)) : popular);
    box.nextTen = nextTen;
    let session = [...start];
    let before = null;

    const plain = (name) => name.replace(/[\u2068\u2069]/g, "").trim().toLowerCase();
    const indices = new Map(items.map((name, item) => [plain(name), item]));

    const input = made("input", { list: `recommender-items-${number}`, autocomplete: "off", spellcheck: "false", type: "text" });
    const form = made("form", {}, made("label", {}, "Add an item", input), made("button", {}, "Add"),
      made("datalist", { id: `recommender-items-${number}` }, ...items.map((name) => made("option", { value: name }))));
    const said = made("output", { class: "recommender-said" });
    const events = made("ol", { "aria-label": "The session, in the order of its events" });
    const none = made("p", {}, "No item is picked: the most popular ones are recommended, with their numbers of events.");
    const button = (words, label, act) => {
      const element = made("button", { type: "button", ...(label && { "aria-label": label }) }, words);
      element.addEventListener("click", act);
      return element;
    };
    const shuffle = button("Shuffle", "", () => {
      const orders = otherOrders(session);
      change(orders[Math.floor(Math.random() * orders.length)], "Shuffled.");
    });
    const reverse = button("Reverse", "", () => change(session.toReversed(), "Reversed."));
    const again = button("Start over", "", () => change([...start], "As at the beginning."));
    const clear = button("Remove all", "", () => change([], "All items are removed."));
    const body = made("tbody");
    const head = made("tr", {}, ...["place", "item", "score", "change"].map((name) => made("th", { scope: "col" }, name)));
    const table = made("table", {}, made("caption", {}, "The next ten"), made("thead", {}, head), body);
    const order = made("output", { class: "recommender-order" });

    const change = (next, words) => {
      before = nextTen(session).map(([item]) => item);
      session = next;
      show(words);
    };
    const place = (item, n) => {
      const was = before?.indexOf(item) ?? n;
      return was === n ? "same" : was < 0 ? "new" : was > n ? `up ${was - n}` : `down ${n - was}`;
    };
    const difference = (ten) => {
      if (!before) return "";
      const stayed = ten.filter(([item]) => before.includes(item)).length;
      const same = ten.filter(([item], n) => before[n] === item).length;
      return `Of ${all(ten)}, ${stayed} ${stayed === 1 ? "was" : "were"} there before, ${same || "none"} of them in the same place.`;
    };
    const ofOrder = (ten) => {
      const others = otherOrders(session);
      if (!others.length) return "It takes two items to have another order.";
      const first = ten[0]?.[0];
      const listed = new Set(ten.map(([item]) => item));
      let stayed = 0;
      let firsts = 0;
      for (const other of others) {
        const its = nextTen(other);
        stayed += its.filter(([item]) => listed.has(item)).length;
        firsts += its[0]?.[0] === first;
      }
      if (others.length === 1) return `Does the order matter? In the one other order of these events, ${stayed} of ${all(ten)} are there, and the first ${firsts ? "stays" : "is another one"}.`;
      const mean = (stayed / others.length).toFixed(1);
      return `Does the order matter? In ${session.length < 5 ? "the " : ""}${others.length} other orders of these events, ${mean} of ${all(ten)} are there on average, and the first stays in ${firsts || "none"}.`;
    };

    const row = (item, n) => {
      const name = items[item];
      const moved = (to) => change(session.toSpliced(n, 1).toSpliced(to, 0, item), `${name} is moved.`);
      const focus = (which, at) => events.children[Math.min(at, session.length - 1)]?.querySelectorAll("button")[which] ?? input;
      const earlier = button("↑", `Move ${name} earlier`, () => { moved(n - 1); focus(n > 1 ? 0 : 1, n - 1).focus(); });
      const later = button("↓", `Move ${name} later`, () => { moved(n + 1); focus(n + 2 < session.length ? 1 : 0, n + 1).focus(); });
      const gone = button("×", `Remove ${name}`, () => { change(session.toSpliced(n, 1), `${name} is removed.`); focus(2, n).focus(); });
      earlier.disabled = n === 0;
      later.disabled = n === session.length - 1;
      return made("li", {}, made("span", {}, name), earlier, later, gone);
    };
    const add = (item) => change([...session, item], `${items[item]} is added.`);
    const line = ([item, value], n) => {
      const name = items[item];
      const pick = button(name, `Add ${name}`, () => { add(item); body.querySelector("button")?.focus(); });
      return made("tr", {}, made("td", {}, String(n + 1)), made("td", {}, pick), made("td", {}, session.length ? value.toFixed(2).replace("-", "−") : String(value)), made("td", {}, place(item, n)));
    };

    const show = (words) => {
      const ten = nextTen(session);
      events.replaceChildren(...session.map(row));
      none.hidden = session.length > 0;
      events.hidden = !none.hidden;
      body.replaceChildren(...ten.map(line));
      const seen = session.length > history ? ` The network sees the last ${history === 1 ? "event" : `${history} events`}.` : "";
      said.textContent = `${words} ${difference(ten)}${seen}`.trim();
      order.textContent = ofOrder(ten);
      shuffle.disabled = reverse.disabled = !otherOrders(session).length;
      clear.disabled = !session.length;
    };

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const item = indices.get(plain(input.value));
      if (item === undefined) {
        said.textContent = input.value.trim() ? `No item is called “${input.value.trim()}”: take one of the list below the field.` : "Write the name of an item, or take one of the list below the field.";
        return;
      }
      input.value = "";
      add(item);
    });

    box.append(
      made("div", { class: "recommender-session", role: "group", "aria-label": "The session" }, made("p", { class: "title" }, "The session, the last event at the end"),
        events, none, form, made("div", { class: "recommender-orders" }, shuffle, reverse, again, clear)),
      made("div", { class: "recommender-ten" }, table),
      made("div", { class: "recommender-words" }, said, order));
    box.closest("figure").classList.add("is-live");
    box.hidden = false;
    show("");
  };

  for (const [number, box] of document.querySelectorAll(".recommender").entries()) recommend(box, number);
})();

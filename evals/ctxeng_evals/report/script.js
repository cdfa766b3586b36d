"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { rows, cases, texts, columns, metrics, runs } = data;
  const PAGE = 200; // rows rendered at a time
  const LONG = 1500; // characters of a text shown at once
  const find = (id) => document.getElementById(id);
  const list = find("rows"), more = find("more"), search = find("search");
  const controls = ["status", "dataset", "subject", "column"].map(find);
  const changed = find("changed");
  const lower = metrics.length > 0 && metrics[0].better === "lower";
  let shown = [], rendered = 0, hay = null;

  // Everything a model or a dataset wrote reaches the page as text, never as mark-up.
  function make(tag, about = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(about)) {
      if (value === null || value === false) continue;
      if (key === "class") node.className = value;
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }

  const said = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const accepted = (value) => (Array.isArray(value) ? value.map(said).join(" or ") : said(value));
  const count = (value) => value.toLocaleString("en", { maximumFractionDigits: 6 });
  const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

  function number(value) {
    if (value === null || value === undefined) return "none";
    return Math.abs(value) >= 100 ? count(Math.round(value)) : value.toFixed(3);
  }

  function duration(seconds) {
    if (seconds < 0.001) return `${(1e6 * seconds).toFixed(0)} µs`;
    return seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : `${seconds.toFixed(1)} s`;
  }

  function status(entry) {
    if (!entry) return "absent";
    if (entry.x !== undefined) return "failed";
    const score = entry.s[0];
    if (score === null || score === undefined || lower) return "scored";
    return score >= 1 ? "right" : "wrong";
  }

  // -- the list ------------------------------------------------------------------------------------------

  function haystack(row) {
    const found = cases[row.k];
    const answers = row.e.map((entry) => (entry && entry.a !== undefined ? said(entry.a) : ""));
    return [found.id, found.q || "", ...answers].join("\n").toLowerCase();
  }

  function filter() {
    const [state, dataset, subject, column] = controls.map((control) => control.value);
    const words = search.value.trim().toLowerCase();
    if (words && !hay) hay = rows.map(haystack);
    shown = [];
    rows.forEach((row, place) => {
      const where = columns[row.c];
      if (dataset && where.d !== dataset) return;
      if (subject && where.s !== subject) return;
      if (column && where.n !== column) return;
      if (state && !row.e.some((entry) => status(entry) === state)) return;
      if (changed && changed.checked && !row.z) return;
      if (words && !hay[place].includes(words)) return;
      shown.push(place);
    });
    list.replaceChildren();
    rendered = 0;
    extend();
    find("count").textContent =
      shown.length === rows.length ? plural(rows.length, "row") : `${count(shown.length)} of ${plural(rows.length, "row")}`;
  }

  function extend() {
    const part = document.createDocumentFragment();
    for (const place of shown.slice(rendered, rendered + PAGE)) part.append(make("li", {}, line(place)));
    list.append(part);
    rendered = Math.min(shown.length, rendered + PAGE);
    more.hidden = rendered >= shown.length;
    more.textContent = `Show ${count(Math.min(PAGE, shown.length - rendered))} more of ${count(shown.length - rendered)}`;
  }

  function line(place) {
    const row = rows[place], found = cases[row.k], where = columns[row.c];
    const last = row.e[row.e.length - 1] || row.e[0];
    const state = status(last);
    const error = row.e.map((entry) => entry && entry.x).find(Boolean);
    return make("button", { type: "button", class: "row", "aria-expanded": "false", "data-place": place },
      make("span", { class: `mark ${state}` }, state),
      make("span", { class: "what" },
        make("span", { class: "id" }, found.id + (row.r ? ` #${row.r + 1}` : "")),
        error ? make("span", { class: "why" }, error.slice(0, 200)) : (found.q || "").slice(0, 200)),
      make("span", { class: "where", title: where.n }, [where.d, where.s, where.p].filter(Boolean).join(" · ")),
      make("span", { class: "score" }, row.e.map(brief).join(" → ")));
  }

  function brief(entry) {
    if (!entry) return "absent";
    if (entry.x !== undefined) return runs.length > 1 ? "failed" : "";
    return metrics.length ? number(entry.s[0]) : "";
  }

  function toggle(button, open = button.getAttribute("aria-expanded") !== "true") {
    const item = button.parentElement;
    if (!open && button.nextSibling) button.nextSibling.remove();
    if (open && !button.nextSibling) {
      const place = Number(button.dataset.place);
      item.append(detail(place));
      button.setAttribute("aria-controls", `case-${place}`);
    } else if (!open) button.removeAttribute("aria-controls");
    button.setAttribute("aria-expanded", String(open));
  }

  // -- one case ------------------------------------------------------------------------------------------

  function detail(place) {
    const row = rows[place], found = cases[row.k];
    const room = Math.max(1, ...rows.filter((each) => each.k === row.k).flatMap((each) => each.e.map(size)));
    const two = row.e.length > 1;
    const sides = row.e.map((entry, run) => side(entry, found, room, two ? runs[run] : ""));
    return make("div", { class: "case", id: `case-${place}` },
      make("h3", {}, found.q || found.id),
      row.f ? null : make("p", { class: "hint" }, "Only scores and the window's composition are held for this row."),
      pairs([
        ["choices", found.o ? choices(found, row) : null],
        ["target", found.y === undefined ? null : accepted(found.y)],
        ["tags", found.l ? Object.entries(found.l).map(([key, value]) => `${key} ${value}`).join(", ") : null],
      ]),
      make("div", { class: two ? "sides two" : "sides" }, ...sides));
  }

  function choices(found, row) {
    const targets = (Array.isArray(found.y) ? found.y : [found.y]).map(String);
    const answers = row.e.map((entry, run) => [entry && entry.a, run]);
    return make("ol", {}, ...found.o.map((choice) => {
      const marks = targets.includes(choice) ? ["target"] : [];
      for (const [answer, run] of answers) {
        if (answer === choice) marks.push(row.e.length > 1 ? `answered in ${runs[run]}` : "answered");
      }
      return make("li", {}, choice, marks.length ? make("small", {}, ` ${marks.join(", ")}`) : null);
    }));
  }

  function pairs(entries) {
    const kept = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return make("dl", { class: "facts-list" }, ...kept.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }

  function side(entry, found, room, title) {
    const head = title ? make("h4", {}, title) : null;
    if (!entry) return make("section", {}, head, make("p", { class: "hint" }, "This run has no such case."));
    const scores = metrics.map((metric, place) => [metric.n, entry.s[place]])
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => `${name} ${number(value)}`);
    return make("section", {}, head,
      pairs([
        ["error", entry.x === undefined ? null : make("span", { class: "error" }, entry.x)],
        ["answer", entry.a === undefined ? null : said(entry.a)],
        ["confidence", entry.p === undefined ? null : number(entry.p)],
        ["scores", scores.join("   ")],
        ["time", entry.t ? duration(entry.t) : null],
      ]),
      entry.u ? usage(entry.u) : null,
      ...(entry.b ? composition(entry, found, room) : []),
      ...(entry.w ? pieces(entry, found) : []));
  }

  function usage(roles) {
    const fields = ["calls", "input", "output", "cached", "cost"];
    const used = fields.filter((name) => Object.values(roles).some((role) => role[name]));
    const head = make("tr", {}, make("th", { scope: "col" }, "role"),
      ...used.map((name) => make("th", { scope: "col", class: "n" }, name)));
    const body = Object.entries(roles).map(([name, role]) => make("tr", {}, make("th", { scope: "row" }, name),
      ...used.map((field) => make("td", { class: "n" }, count(role[field] || 0)))));
    return make("table", {}, make("caption", {}, "Usage"), make("thead", {}, head), make("tbody", {}, ...body));
  }

  const size = (entry) => (entry && entry.b ? Object.values(entry.b).reduce((sum, each) => sum + each, 0) : 0);
  const golden = (found) => new Set((found.g || []).map(([ref]) => ref));

  const heading = (title) => make(runs.length > 1 ? "h5" : "h4", { class: "sub" }, title);

  function coloured(node, source) {
    const place = Object.keys(sources).indexOf(source);
    node.style.setProperty("--colour", `var(--series-${1 + (Math.max(0, place) % 8)})`);
    return node;
  }

  function composition(entry, found, room) {
    const total = size(entry), gold = golden(found);
    const complete = entry.w && !entry.m;
    const parts = Object.entries(entry.b).flatMap(([source, tokens]) =>
      complete ? entry.w.filter((piece) => piece[0] === source).map((piece) => [source, piece[3], gold.has(piece[2])])
        : [[source, tokens, false]]);
    const bar = make("div", { class: "bar" }, ...parts.map(([source, tokens, isGold]) => {
      const part = coloured(make("span", { class: isGold ? "gold" : "" }), source);
      part.style.flex = `${tokens} 1 0`;
      return part;
    }));
    bar.style.width = `${(100 * total) / room}%`;
    const words = Object.entries(entry.b).map(([source, tokens]) => `${source} ${count(tokens)}`);
    const keys = Object.entries(entry.b).map(([source, tokens]) =>
      coloured(make("li", {}, make("i", { "aria-hidden": "true" }), `${source} ${count(tokens)}`), source));
    if (parts.some(([, , isGold]) => isGold)) keys.push(make("li", { class: "gold" }, make("i", { "aria-hidden": "true" }), "gold"));
    const title = total === room ? `Window: ${plural(total, "token")}` : `Window: ${plural(total, "token")}; the largest for this case has ${count(room)}`;
    return [heading(title),
      make("div", { class: "track", role: "img", "aria-label": `Tokens by source: ${words.join(", ")}` }, bar),
      make("ul", { class: "legend" }, ...keys)];
  }

  function pieces(entry, found) {
    const gold = golden(found), there = new Set(entry.w.map((piece) => piece[2]));
    const listed = entry.w.map(([source, kind, ref, tokens, place]) =>
      coloured(piece([source, kind, ref, plural(tokens, "token")], gold.has(ref) ? "gold" : "", texts[place], ""), source));
    if (entry.m) listed.push(make("p", { class: "hint" }, `and ${plural(entry.m, "more piece")}, which the results do not list`));
    const missed = entry.m ? [] : (found.g || []).filter(([ref]) => !there.has(ref));
    if (missed.length) listed.push(heading("Gold that is not in the window"));
    return [...listed, ...missed.map(([ref, place]) => piece([ref], "gold, missed", texts[place], " missed"))];
  }

  function piece(about, word, text, kind) {
    const words = about.filter(Boolean).map((each) => make("span", {}, each));
    const body = make("p", { class: "text" });
    const node = make("div", { class: `piece${kind}` },
      make("p", { class: "of" }, word ? make("b", {}, word) : null, ...words), text ? body : null);
    if (text && text.length > LONG) {
      const rest = make("button", { type: "button", class: "quiet" }, `Show all ${count(text.length)} characters`);
      body.textContent = `${text.slice(0, LONG)} ...`;
      rest.addEventListener("click", () => { body.textContent = text; rest.remove(); });
      node.append(rest);
    } else body.textContent = text || "";
    return node;
  }

  // -- controls ------------------------------------------------------------------------------------------

  function fill(control, values) {
    for (const value of new Set(values)) control.append(make("option", { value }, value));
    control.closest("label").hidden = control.options.length < 3;
  }

  function move(step) {
    const open = document.activeElement.closest ? document.activeElement.closest("#rows > li") : null;
    let next = open ? (step > 0 ? open.nextElementSibling : open.previousElementSibling) : list.firstElementChild;
    if (!next && open && step > 0 && rendered < shown.length) {
      extend();
      next = open.nextElementSibling;
    }
    if (next) next.firstElementChild.focus();
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.matches("input, select, textarea");
    const inside = event.target.closest("#rows > li");
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && inside) {
      toggle(inside.firstElementChild, false);
      inside.firstElementChild.focus();
    } else if (event.key === "/" && !typing) search.focus();
    else if (event.key === "ArrowDown" && event.target === search) move(1);
    else if (step && !typing && (inside || event.key.length === 1)) move(step);
    else return;
    event.preventDefault();
  }

  const root = document.documentElement, theme = find("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();

  const sources = {}; // every source of a window, in order of appearance: its colour is its place
  for (const row of rows) for (const entry of row.e) if (entry && entry.b) for (const each in entry.b) sources[each] = true;
  fill(controls[1], columns.map((each) => each.d));
  fill(controls[2], columns.map((each) => each.s));
  fill(controls[3], columns.map((each) => each.n));
  controls.forEach((control) => control.addEventListener("change", filter));
  if (changed) changed.addEventListener("change", filter);
  search.addEventListener("input", filter);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const button = event.target.closest(".row");
    if (button) toggle(button);
  });
  more.addEventListener("click", () => {
    const before = list.lastElementChild;
    extend();
    if (before && before.nextElementSibling) before.nextElementSibling.firstElementChild.focus();
  });
  document.addEventListener("keydown", pressed);
  filter();
  root.dataset.ready = String(Math.round(performance.now()));
})();

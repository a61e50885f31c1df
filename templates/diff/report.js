"use strict";
// Folds, filters and links. Everything it works on is in the page already; nothing is fetched, nothing is written as HTML.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const box = document.getElementById("find");
  const found = document.getElementById("found");
  const nothing = document.getElementById("nothing");
  const minor = document.getElementById("minor");
  document.documentElement.classList.add("js");

  // Lists of many hosts stand once in the page; where one is unfolded it is copied.
  const sets = new Map(all(".set").map((set) => [set.id, set]));
  const names = (details) => sets.get(details.dataset.set)?.querySelector(".names");
  document.addEventListener("toggle", (event) => {
    const list = event.target.open && event.target.dataset?.set && names(event.target);
    if (list && !event.target.querySelector(".names")) {
      event.target.querySelector(".elsewhere")?.replaceWith(list.cloneNode(true));
    }
  }, true);

  // What each item is found by. Made at the first search: nothing is done for those who only read.
  const hostsIn = (element) => all(".hosts", element)
    .map((list) => (names(list) ?? list).textContent).join(" ")
    + " " + all(".each tbody th", element).map((cell) => cell.textContent).join(" ");
  const item = (element, extra = {}) => {
    const host = element.dataset.kind === "host" ? element.querySelector("th").textContent : hostsIn(element);
    return {
      element, text: `${element.textContent} ${host}`.toLowerCase(), host: host.toLowerCase(), file: "", field: "",
      effect: element.dataset.effect ?? "", ...extra,
    };
  };
  let index = null;
  const build = () => {
    const files = all(".file").map((file) => {
      const head = file.querySelector("summary").textContent + " " + file.querySelector(".common").textContent;
      const hosts = hostsIn(file.querySelector(".common"));
      const name = file.querySelector(".name").textContent.toLowerCase();
      const changes = all(".change", file).map((change) => {
        const own = item(change);
        const effects = all(":scope > .effects .tag", change).map((tag) => tag.textContent).join(" ");
        return {
          ...own,
          text: `${head} ${hosts} `.toLowerCase() + own.text,
          host: `${hosts} `.toLowerCase() + own.host,
          file: name,
          field: change.querySelector(".field").textContent.toLowerCase(),
          effect: effects || file.dataset.effect,
          rows: all(".each tbody tr", change),
        };
      });
      return { element: file, changes, open: file.open };
    });
    return {
      files,
      items: all(".item").map((element) => item(element, {
        file: element.dataset.kind === "certificate" ? element.querySelector("code").textContent.toLowerCase() : "",
      })),
      hosts: all(".topology .host").map((element) => ({ element, name: element.dataset.host.toLowerCase() })),
      groups: all(".gravity"),
      tables: all("[id$='-certificates'] > .scroll, .unchanged"),
      kinds: { step: "step", host: "host", certificate: "certificate row", issue: "certificate to issue" },
    };
  };

  // Words that must all be there; `host:`, `file:`, `field:` and `effect:` look there only.
  const parse = (query) => query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, where, what] = /^(host|file|field|effect):(.*)$/.exec(word) ?? [null, "text", word];
    return { where, what };
  });
  const matches = (terms, entry) => terms.every(({ where, what }) => entry[where].includes(what));
  const count = (n, what) => (n ? [`${n} ${what}${n === 1 ? "" : "s"}`] : []);

  const filter = () => {
    const terms = parse(box.value);
    const active = terms.length > 0;
    if (!active && !index) return;
    index ??= build();
    const told = [];
    let changes = 0;
    for (const file of index.files) {
      let shown = 0;
      for (const change of file.changes) {
        const hit = matches(terms, change);
        change.element.hidden = !hit;
        const counts = hit && (minor?.checked || !change.element.classList.contains("minor"));
        shown += counts ? 1 : 0;
        if (hit && change.rows.length) narrow(change.rows, terms);
      }
      if (!file.filtered) file.open = file.element.open;
      file.element.hidden = active && !shown;
      // A few hits are shown at once; many stay folded.
      file.element.open = active ? file.open || shown > 0 && changes < 40 : file.open;
      file.filtered = active;
      changes += shown;
    }
    for (const group of index.groups) group.hidden = active && !group.querySelector(".file:not([hidden])");
    told.push(...count(changes, "change"));
    const per = {};
    const hit = new Set();
    for (const entry of index.items) {
      const shown = matches(terms, entry);
      entry.element.hidden = !shown;
      const kind = entry.element.dataset.kind;
      per[kind] = (per[kind] ?? 0) + (shown ? 1 : 0);
      if (shown && kind === "host") hit.add(entry.host);
      if (shown && kind === "certificate" && active) entry.element.closest(".unchanged")?.setAttribute("open", "");
    }
    // A table of which nothing is left would be a head without a body.
    for (const table of index.tables) table.hidden = active && !table.querySelector(".item:not([hidden])");
    for (const [kind, word] of Object.entries(index.kinds)) told.push(...count(per[kind], word));
    for (const { element, name } of index.hosts) element.classList.toggle("dim", active && !hit.has(name));
    nothing.hidden = !active || told.length > 0;
    found.textContent = active ? told.join(", ") || "nothing" : "";
    for (const button of all(".tally")) button.setAttribute("aria-pressed", box.value.trim() === button.dataset.query);
    mark(terms);
  };

  // Of many hosts' values, those that were asked for; all, if none was.
  const narrow = (rows, terms) => {
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const asked = terms.filter(({ where, what }) => (where === "text" || where === "host") && texts.some((t) => t.includes(what)));
    rows.forEach((row, n) => { row.hidden = !asked.every(({ what }) => texts[n].includes(what)); });
  };

  const mark = (terms) => {
    if (!CSS.highlights) return;
    CSS.highlights.delete("found");
    const words = terms.filter(({ where, what }) => where !== "effect" && what.length > 1).map(({ what }) => what);
    if (!words.length) return;
    const ranges = [];
    const walker = document.createTreeWalker(document.getElementById("main"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && ranges.length < 2000) {
      const node = walker.currentNode;
      const text = node.data.toLowerCase();
      // Lower case can have another length; such text is left alone.
      if (text.length !== node.data.length) continue;
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    if (ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
  };

  let timer = 0;
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  minor?.addEventListener("change", filter);
  const ask = (query) => { box.value = query; filter(); };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-query]");
    if (button) ask(box.value.trim() === button.dataset.query ? "" : button.dataset.query);
    if (button && !button.closest(".tallies")) window.scrollTo({ top: 0 });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && box.value) {
      ask("");
    }
  });
  const fold = (open) => { for (const file of all(".file")) file.open = open; };
  document.getElementById("unfold").addEventListener("click", () => fold(true));
  document.getElementById("fold").addEventListener("click", () => fold(false));

  // A link goes to what it names even where that is folded, filtered out or minor.
  const reveal = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* As it is written. */ }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.hidden || target.closest("[hidden]")) ask("");
    if (minor && target.closest(".minor")) minor.checked = true;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  window.addEventListener("beforeprint", () => fold(true));
  reveal();
})();

// Keeps the page up to date: the server says which elements are others now, and this puts them in. Decides nothing.
"use strict";
(() => {
  const { live, edition } = document.body.dataset;
  const lost = document.getElementById("lost");
  const said = document.getElementById("said");
  // The server says something at least every 15 s.
  const SILENCE = 40000;
  let heard = Date.now();
  let source;

  function put(id, html) {
    const old = document.getElementById(id);
    const template = document.createElement("template");
    template.innerHTML = html;
    const now = template.content.firstElementChild;
    if (!old || !now) return;
    const box = '[tabindex="0"]';
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    const focused = active?.matches(box) ? box : active?.getAttribute("href") && `a[href="${CSS.escape(active.getAttribute("href"))}"]`;
    const scrolled = old.querySelector(box)?.scrollTop;
    old.replaceWith(now);
    const scrolls = now.querySelector(box);
    if (scrolls && scrolled) scrolls.scrollTop = scrolled;
    if (focused) now.querySelector(focused)?.focus({ preventScroll: true });
  }

  // A screen reader is told the sentence, and only when it is another one.
  let sentence = document.querySelector("h1")?.textContent;
  function say() {
    const now = document.querySelector("h1")?.textContent;
    if (now === sentence) return;
    sentence = now;
    said.textContent = now;
  }

  function alive() {
    heard = Date.now();
    lost.hidden = true;
    document.body.classList.remove("is-lost");
  }

  function listen() {
    source?.close();
    source = new EventSource(`${live}&since=${encodeURIComponent(edition)}`);
    source.addEventListener("open", alive);
    source.addEventListener("alive", alive);
    source.addEventListener("reload", () => location.reload());
    source.addEventListener("parts", (event) => {
      alive();
      for (const [id, html] of Object.entries(JSON.parse(event.data))) put(id, html);
      say();
    });
  }

  // A page that hears nothing must not look as if all were well.
  setInterval(() => {
    const isOpen = source.readyState === EventSource.OPEN;
    if (isOpen && Date.now() - heard < SILENCE) return;
    if (!isOpen && Date.now() - heard < 5000) return;
    if (lost.hidden) {
      lost.querySelector("span").textContent = new Date(heard).toLocaleTimeString();
      lost.hidden = false;
      document.body.classList.add("is-lost");
    }
    if (isOpen || source.readyState === EventSource.CLOSED) listen();
  }, 2000);

  listen();
})();

// Sends a card without leaving the page, and keeps what is typed meanwhile: no keystroke is lost.
// Without this script the same forms work, one page after the other.
"use strict";

const typed = [];
let sending = false;
let failed = false;

const isKeying = (page) => page.querySelector("main [data-keying]") !== null;

async function read(address, options) {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!isKeying(page)) throw new Error("not a page for keying");
  return page;
}

async function send(form) {
  const body = new FormData(form);
  if (failed) {
    const fresh = await read(location.href);
    body.set("csrf_token", fresh.querySelector("main [name=csrf_token]").value);
  }
  return read(form.action, { method: "POST", body: new URLSearchParams(body) });
}

function show(page) {
  document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
  document.title = page.title;
  const focus = document.querySelector("main [autofocus]");
  if (focus) {
    focus.focus();
    if (focus.select) focus.select();
  }
}

const stops = () => [...document.querySelectorAll("main input:not([type=hidden]), main button, main a[href]")];

function type(stroke) {
  const target = document.activeElement;
  if (stroke.key === "Tab") {
    const all = stops();
    const next = all[all.indexOf(target) + (stroke.shift ? -1 : 1)];
    if (next) next.focus();
    if (next && next.select) next.select();
  } else if (stroke.key === "Enter") {
    if (target.form) target.form.requestSubmit();
  } else if (target.type === "checkbox" || target.type === "radio") {
    if (stroke.key === " ") target.click();
  } else if (target.setRangeText && stroke.key === "Backspace") {
    const from = target.selectionStart === target.selectionEnd ? Math.max(0, target.selectionStart - 1) : target.selectionStart;
    target.setRangeText("", from, target.selectionEnd, "end");
  } else if (target.setRangeText && stroke.key.length === 1) {
    target.setRangeText(stroke.key, target.selectionStart, target.selectionEnd, "end");
  }
}

function replay() {
  while (typed.length && !sending) type(typed.shift());
}

document.addEventListener("keydown", (event) => {
  if (!sending || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  typed.push({ key: event.key, shift: event.shiftKey });
}, true);

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-keying]");
  if (!form) return;
  event.preventDefault();
  if (sending) return;
  sending = true;
  try {
    const page = await send(form);
    failed = false;
    show(page);
  } catch {
    // The card stays on the screen, under its own name: sent again it is kept once.
    failed = true;
    typed.length = 0;
    const message = document.querySelector("[data-unsent]");
    if (message) message.hidden = false;
  } finally {
    sending = false;
    replay();
  }
});

window.addEventListener("beforeunload", (event) => {
  if (sending || failed) event.preventDefault();
});

// Marks the forms of this page that are sent to Hearback: when they were shown, and a number for each submission.
// A form that is sent without it is taken all the same.
(function (token) {
  "use strict";
  const door = document.currentScript.src.replace(/\/form\.js(\?.*)?$/, "");
  const sent = new WeakSet();

  // A page one comes back to was filled in before: no time is told.
  const visit = performance.getEntriesByType("navigation")[0];
  const returned = visit && visit.type !== "navigate";

  const number = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const ours = (form) => {
    const action = form instanceof HTMLFormElement && form.getAttribute("action");
    return Boolean(action) && new URL(action, document.baseURI).href === door;
  };

  const field = (form, name) => {
    let input = form.querySelector('input[type="hidden"][name="' + name + '"]');
    if (!input) {
      input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      form.append(input);
    }
    return input;
  };

  const mark = (form) => {
    if (!ours(form)) return;
    if (!returned) field(form, "_token").value = token;
    const nonce = field(form, "_nonce");
    if (!nonce.value) nonce.value = number();
  };

  // What is sent twice is one submission; what was changed in between is another.
  const renew = (form) => {
    if (sent.delete(form)) field(form, "_nonce").value = number();
  };

  const markAll = () => Array.from(document.forms, mark);
  document.addEventListener("submit", (event) => { mark(event.target); if (ours(event.target)) sent.add(event.target); }, true);
  document.addEventListener("input", (event) => renew(event.target.form), true);
  document.addEventListener("reset", (event) => renew(event.target), true);
  window.addEventListener("pageshow", (event) => { if (event.persisted) Array.from(document.forms, renew); });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", markAll);
  else markAll();
})

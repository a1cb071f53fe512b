// Live regions: an element with data-live is fetched anew and replaced, as a fragment of HTML that
// the server has drawn. Nothing else needs this script. A region is left alone while somebody is in
// it: while it has the focus, holds a changed field, or part of its text is selected.
"use strict";

(() => {
  // A server that takes a question and answers nothing for a minute is as silent as one that is gone.
  const PATIENCE = 60_000;

  const changed = (field) => {
    if (field.type === "checkbox" || field.type === "radio") {
      return field.checked !== field.defaultChecked;
    }
    if (field.tagName === "SELECT") {
      return [...field.options].some((option) => option.selected !== option.defaultSelected);
    }
    return field.type !== "hidden" && field.value !== field.defaultValue;
  };

  const isSelected = (region) => {
    const selection = document.getSelection();
    return Boolean(selection) && !selection.isCollapsed && selection.containsNode(region, true);
  };

  const isInUse = (region) =>
    region.contains(document.activeElement) ||
    isSelected(region) ||
    [...region.querySelectorAll("input, select, textarea")].some(changed);

  const openFolds = (region) =>
    [...region.querySelectorAll("details")].map((fold) => fold.open);

  const replace = (region, html) => {
    const sheet = new DOMParser().parseFromString(html, "text/html");
    const fresh = sheet.getElementById(region.id);
    if (!fresh) {
      return null;
    }
    const open = openFolds(region);
    fresh.querySelectorAll("details").forEach((fold, at) => {
      fold.open = open[at] || fold.open;
    });
    const kept = document.importNode(fresh, true);
    region.replaceWith(kept);
    return kept;
  };

  // What keeps the page from being fetched anew: "silent", "stranger", or nothing.
  const away = (why) => {
    const note = document.getElementById("away");
    if (note) {
      note.querySelectorAll("[data-why]").forEach((one) => {
        one.hidden = one.dataset.why !== why;
      });
      note.hidden = !why;
    }
  };

  // What is fetched only once may ask the exchange first, and is waited for however long that takes.
  const read = async (region) => {
    try {
      const signal = region.dataset.every ? AbortSignal.timeout(PATIENCE) : null;
      const answer = await fetch(region.dataset.live, {
        redirect: "error",
        cache: "no-store",
        signal,
      });
      const html = answer.ok ? await answer.text() : null;
      away(answer.ok ? "" : answer.status === 401 ? "stranger" : "silent");
      return html;
    } catch {
      away("silent");
      return null;
    }
  };

  const watch = (region) => {
    const seconds = Number(region.dataset.every || 0);
    const again = (next) => {
      if (next && next.dataset.live && next.dataset.every) {
        window.setTimeout(() => void turn(next), Number(next.dataset.every) * 1000);
      }
    };
    const turn = async (current) => {
      if (document.hidden || isInUse(current)) {
        again(current);
        return;
      }
      const html = await read(current);
      if (html === null || isInUse(current) || !current.isConnected) {
        again(current);
        return;
      }
      const kept = replace(current, html);
      kept?.querySelectorAll("[data-live]").forEach(watch);
      again(kept);
    };
    window.setTimeout(() => void turn(region), seconds * 1000);
  };

  document.querySelectorAll("[data-live]").forEach(watch);
})();

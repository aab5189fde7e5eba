// Asks again while the form is changed, and shows the answer without leaving the page. Without this script, and whenever
// asking fails, the form's button does the same.
"use strict";
(() => {
  const form = document.getElementById("ask");
  const answer = document.getElementById("answer");
  const [page] = form.getAttribute("action").split("#");
  let waiting, asking;

  const query = () => {
    const filled = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
    return new URLSearchParams(filled).toString();
  };
  // What the answer is about; nothing while there is none.
  let shown = answer.querySelector("article") ? query() : "";

  const show = (fresh) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      // What somebody is choosing from stays as it is.
      if (old !== answer && old.contains(document.activeElement)) continue;
      old.replaceChildren(...fresh.getElementById(old.id).childNodes);
    }
  };

  const say = (words) => {
    const note = document.createElement("p");
    note.className = "mistake";
    note.textContent = words;
    answer.replaceChildren(note);
  };

  // Answers whether what is shown belongs to what is typed.
  const ask = async () => {
    const asked = query();
    if (asked === shown) return true;
    asking?.abort();
    const mine = (asking = new AbortController());
    const address = page + "?" + asked;
    answer.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address, { signal: mine.signal });
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!fresh.getElementById("answer")) throw new Error(response.statusText);
      if (asking !== mine) return true;
      show(fresh);
      shown = answer.querySelector("article") ? asked : "";
      history.replaceState(null, "", address);
      return true;
    } catch (error) {
      if (asking !== mine || error.name === "AbortError") return true;
      say("The answer could not be loaded. Press Estimate to try again.");
      shown = "";
      return false;
    } finally {
      if (asking === mine) answer.removeAttribute("aria-busy");
    }
  };

  form.addEventListener("input", (event) => {
    // An account belongs to its team.
    if (event.target.name === "team") document.getElementById("account").replaceChildren();
    clearTimeout(waiting);
    waiting = setTimeout(() => form.matches(":valid") && ask(), 350);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    if (await ask()) answer.scrollIntoView({ block: "nearest" });
    else form.submit();
  });
})();

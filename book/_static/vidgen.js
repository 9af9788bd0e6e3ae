// A film is fetched and starts when it first comes near the screen. For a reader who asked the system for less motion
// it rests, on its first frame.
document.addEventListener("DOMContentLoaded", () => {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const watch = new IntersectionObserver((entries) => {
    for (const { target: film } of entries.filter((entry) => entry.isIntersecting)) {
      watch.unobserve(film);
      film.preload = "auto";
      if (!still) film.play().catch(() => {}); // the reader was quicker, or the browser plays nothing by itself
    }
  }, { rootMargin: "300px" });
  for (const film of document.querySelectorAll("figure.clip video")) watch.observe(film);
  for (const film of still ? document.querySelectorAll("video[autoplay]") : []) {
    film.removeAttribute("autoplay");
    film.pause();
  }
});

// The arrows that fold the table of contents have no text of their own.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("nav summary")) {
    if (!arrow.textContent.trim()) arrow.setAttribute("aria-label", "Show or hide the pages below");
  }
});

// What scrolls by itself is reached by keyboard: wide tables and formulas. The theme does the same for listings.
function letTheKeyboardScroll() {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container, div.math, .result-card-command")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

window.addEventListener("resize", letTheKeyboardScroll);
window.addEventListener("load", () => {
  letTheKeyboardScroll();
  window.MathJax?.startup?.promise?.then(letTheKeyboardScroll);
});

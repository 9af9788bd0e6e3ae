// Films start by themselves, but not for a reader who asked the system for less motion.
document.addEventListener("DOMContentLoaded", () => {
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const film of document.querySelectorAll("video[autoplay]")) {
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

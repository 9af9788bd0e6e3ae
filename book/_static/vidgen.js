// Films start by themselves, but not for a reader who asked the system for less motion.
document.addEventListener("DOMContentLoaded", () => {
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const film of document.querySelectorAll("video[autoplay]")) {
    film.removeAttribute("autoplay");
    film.pause();
  }
});

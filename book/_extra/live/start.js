// Puts a button under a live figure. Whatever the figure needs is loaded when the reader presses it, and not before.
(() => {
  const here = document.currentScript;
  const figure = here.closest("figure.live");
  const still = figure.querySelector(".live-still");
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const button = make("button", { type: "button", className: "live-start", textContent: figure.dataset.label });
  const note = make("p", { className: "live-note" });
  note.setAttribute("role", "status");
  still.after(button, note);
  figure.classList.add("live-ready");

  button.addEventListener("click", async () => {
    button.disabled = true;
    note.textContent = "Loading …";
    const stage = make("div", { className: "live-stage", hidden: true });
    still.before(stage);
    try {
      const demo = await import(new URL(`${figure.dataset.demo}.mjs`, here.src));
      await demo.start(stage, figure.dataset);
      for (const film of still.querySelectorAll("video")) film.pause();
      still.hidden = true;
      stage.hidden = false;
      button.remove();
      note.textContent = "";
      stage.querySelector("button, input, select").focus({ preventScroll: true });
      stage.scrollIntoView({ block: "nearest" }); // what stood here may have been higher
    } catch (error) {
      stage.remove();
      button.disabled = false;
      note.textContent =
        location.protocol === "file:"
          ? "Live figures need a server, since a browser loads no modules from files. In the folder that holds " +
            "index.html run: python -m http.server, then open localhost:8000."
          : `This figure could not start: ${error.message}`;
    }
  });
})();

"use strict";
// A slider shows, of everything in its group, what belongs to the step that it stands at.
document.documentElement.classList.add("js");
for (const slider of document.querySelectorAll("input[data-group]")) {
  const shown = document.querySelectorAll(`[data-of="${slider.dataset.group}"]`);
  const output = document.querySelector(`output[for="${slider.id}"]`);
  const show = () => {
    for (const one of shown) {
      const now = one.dataset.step === slider.value;
      one.classList.toggle("now", now);
      if (now && one.dataset.told) output.value = one.dataset.told;
    }
    slider.setAttribute("aria-valuetext", output.value);
  };
  slider.addEventListener("input", show);
  show();
}

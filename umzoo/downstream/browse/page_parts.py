"""What every page holds beside what it shows: style, script, and a policy by which nothing is loaded."""

from __future__ import annotations

STYLE = r"""
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #222; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; display: inline-block; vertical-align: top; max-width: 100%; }
figure.stack { width: 18rem; margin-right: 1rem; }
figure.stack img { width: 100%; background: #000; }
figure.map { width: 28rem; margin-right: 1rem; }
figure.map.alone { width: 44rem; }
figure.map svg { width: 100%; border: 1px solid #ddd; touch-action: pan-y; }
figure.map circle { stroke: #fff; stroke-width: 1; }
figure.map circle.near { stroke: #000; stroke-width: 3; }
figure.map output { display: block; min-height: 1.5em; overflow-wrap: anywhere; }
details { margin: 0.5rem 0; }
summary { cursor: pointer; }
.stage summary { display: grid; grid-template-columns: 0.8rem 10rem 1fr 4.5rem; gap: 0.5rem; align-items: center; }
.stage summary::before { content: "\25b8"; }
.stage[open] summary::before { content: "\25be"; }
.warning { border-left: 4px solid #e69f00; padding-left: 0.75rem; overflow-wrap: anywhere; }
.stage summary :last-child { text-align: right; }
.bar { display: flex; height: 1rem; background: #eee; }
.exact { background: #0072b2; }
.adapted { background: #e69f00; }
.fresh { background: #ccc; }
.key { display: inline-block; margin-right: 1rem; }
.key i { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 50%; margin-right: 0.35em; }
figure input { width: 100%; }
figcaption { color: #555; font-size: 0.85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
.wide table:has(th:nth-child(3)) { width: max-content; max-width: 60rem; }
th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
pre { background: #f5f5f5; padding: 0.75rem; overflow-x: auto; font-size: 0.85rem; }
@media (max-width: 40rem) { figure.stack, figure.map, figure.map.alone { width: 100%; margin-right: 0; }
  .stage summary { grid-template-columns: 0.8rem 8.5rem 1fr 3.5rem; } }
"""
SCRIPT = """
for (const figure of document.querySelectorAll("figure.stack")) {
  const slices = JSON.parse(figure.querySelector("script").textContent);
  const image = figure.querySelector("img"), slider = figure.querySelector("input");
  slider.addEventListener("input", () => { image.src = slices[slider.value]; });
  image.addEventListener("wheel", (event) => {
    event.preventDefault();
    slider.value = Number(slider.value) + Math.sign(event.deltaY);
    image.src = slices[slider.value];
  }, { passive: false });
}
for (const figure of document.querySelectorAll("figure.map")) {
  const svg = figure.querySelector("svg"), dots = [...svg.querySelectorAll("circle")];
  const output = figure.querySelector("output"), hint = output.textContent, chosen = figure.querySelector("select");
  const colors = JSON.parse(figure.querySelector("script").textContent);
  let near = null;
  const look = (event) => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const apart = (dot) => Math.hypot(dot.cx.baseVal.value - x, dot.cy.baseVal.value - y);
    near?.classList.remove("near");
    near = dots.reduce((best, dot) => apart(dot) < (best ? apart(best) : 24) ? dot : best, null);
    if (near) {
      near.classList.add("near");
      svg.append(near);
    }
    output.textContent = near ? near.textContent : hint;
  };
  for (const name of ["pointermove", "pointerdown"]) svg.addEventListener(name, look);
  chosen?.addEventListener("change", () => {
    dots.forEach((dot, number) => dot.setAttribute("fill", colors[chosen.value][number]));
    figure.querySelectorAll(".coloring").forEach((part, number) => { part.hidden = number != chosen.value; });
  });
}
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

// Equations ($...$, $$...$$ in Markdown) become MathML, which browsers draw themselves: no fonts, no other server.
document$.subscribe(function () {
  document.querySelectorAll(".arithmatex").forEach(function (place) {
    var source = place.textContent.replace(/^\\[(\[]/, "").replace(/\\[)\]]$/, "");
    katex.render(source, place, { displayMode: place.tagName === "DIV", output: "mathml", throwOnError: false });
  });
});

// The texts of the page that are hard to read, by the formula of WCAG 2. A body of a function, run by the tests.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
// Whatever the notation of a colour is, a canvas knows its bytes.
const bytes = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((value) => value / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const groundOf = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const ground = bytes(getComputedStyle(at).backgroundColor);
    if (ground[3] === 255) return ground;
  }
  return [255, 255, 255];
};
const opacityOf = (element) => {
  let opacity = 1;
  for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
  return opacity;
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  // What is disabled may be pale.
  if (!own || !element.checkVisibility() || element.closest(":disabled, .visually-hidden")) continue;
  const [colour, behind, opacity] = [bytes(getComputedStyle(element).color), groundOf(element), opacityOf(element)];
  const seen = colour.map((value, i) => value * opacity + behind[i] * (1 - opacity));
  const [text, ground] = [seen, behind].map(luminance);
  const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
}
return found;

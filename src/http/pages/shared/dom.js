// Elements from calls. Text is only ever set as text, so a name with HTML in it is shown as it is written.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element: `element('button', {class: 'quiet', onclick: f, disabled: true}, 'Close')`.
 *
 * Functions become listeners, `true` an attribute without a value, `false`, `null` and `undefined` none. Children are
 * elements or texts; those that are `null` or `false` are left out.
 */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for drawings. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Puts other children in the place of those that an element has. */
export function replace(parent, ...children) {
  parent.replaceChildren(...present(children));
  return parent;
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...present(children));
  return made;
}

const present = (children) => children.flat().filter((child) => child !== null && child !== undefined && child !== false);

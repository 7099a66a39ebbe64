// The page of the HTTP API: every operation that `openapi.json` tells of, one `details` each, found by typing.

import { element, replace } from "../shared/dom.js";

const $ = (id) => document.getElementById(id);

/** What a `$ref` of the description leads to. */
const resolve = (description, value) =>
  value?.$ref ? value.$ref.slice(2).split("/").reduce((part, name) => part?.[name], description) : value;

/** A schema in a few words. */
function wording(description, schema) {
  const type = resolve(description, schema) ?? {};
  if (schema?.$ref) return schema.$ref.split("/").pop();
  if (type.enum) return type.enum.join(" | ");
  if (type.type === "array") return `any number of: ${wording(description, type.items)}`;
  const bounds = [type.minimum !== undefined && `from ${type.minimum}`, type.maximum !== undefined && `to ${type.maximum}`];
  return [Array.isArray(type.type) ? type.type.join(" | ") : type.type ?? "anything", ...bounds.filter(Boolean)].join(" ");
}

function table(caption, heads, rows) {
  if (rows.length === 0) return null;
  const head = element("tr", {}, heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, element("code", {}, first)), rest.map((cell) => element("td", {}, cell))),
  );
  return element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, body));
}

/** How it is asked for with curl; names that are to be filled in stay in braces. */
function curl(method, path, operation) {
  const body = operation.requestBody && `-H 'Content-Type: ${Object.keys(operation.requestBody.content)[0]}' --data …`;
  const url = new URL(path.slice(1), document.baseURI).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  const how = method === "head" ? "--head" : `-X ${method.toUpperCase()}`;
  return ["curl", how, `-H "Authorization: Bearer $TOKEN"`, body, `'${url}'`].filter(Boolean).join(" ");
}

function view(description, method, path, operation) {
  const parameters = (operation.parameters ?? []).map((one) => resolve(description, one));
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const schema = answer.content?.["application/json"]?.schema;
    const headers = Object.keys(answer.headers ?? {}).join(", ");
    return [status, answer.description, schema ? wording(description, schema) : "", headers];
  });
  const summary = element(
    "summary", {},
    element("span", { class: `method ${method}` }, method.toUpperCase()), " ",
    element("code", {}, path), " ",
    element("span", { class: "what" }, operation.summary),
  );
  return element(
    "details", { id: operation.operationId },
    summary,
    table("Parameters", ["name", "in", "what", "form"], parameters.map((one) =>
      [one.name, one.in, one.description ?? "", wording(description, one.schema)])),
    table("Body", ["type", "form"], bodies.map(([type, content]) => [type, wording(description, content.schema)])),
    table("Answers", ["status", "when", "body", "headers"], answers),
    element("pre", { tabindex: "0", "aria-label": "With curl" }, element("code", {}, curl(method, path, operation))),
  );
}

function schemaView(description, [name, schema]) {
  const parts = (schema.allOf ?? [schema]).map((part) => resolve(description, part));
  const required = new Set(parts.flatMap((part) => part.required ?? []));
  const rows = parts.flatMap((part) => Object.entries(part.properties ?? {})).map(([property, type]) =>
    [property, wording(description, type), required.has(property) ? "always" : "where there is one", type.description ?? ""]);
  return element("details", { id: `schema-${name}` }, element("summary", {}, element("code", {}, name), " ",
    element("span", { class: "what" }, schema.description ?? "")), table("Properties", ["name", "form", "there", "what"], rows));
}

function show(description) {
  replace($("about"), `Version ${description.info.version}. ${description.info.description}`);
  const all = Object.entries(description.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation })));
  const sections = description.tags.map(({ name }) => element(
    "section", {}, element("h2", {}, name),
    all.filter(({ operation }) => operation.tags.includes(name))
      .map(({ method, path, operation }) => view(description, method, path, operation)),
  ));
  const schemas = Object.entries(description.components.schemas).map((entry) => schemaView(description, entry));
  replace($("operations"), sections, element("section", {}, element("h2", {}, "Schemas"), schemas));
  $("find").addEventListener("input", find);
  open();
}

/** Hides what does not have all the words that were typed. */
function find() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of $("operations").children) {
    const entries = [...section.querySelectorAll("details")];
    for (const entry of entries) {
      const text = `${entry.id} ${entry.textContent}`.toLowerCase();
      entry.hidden = !words.every((word) => text.includes(word));
      found += entry.hidden ? 0 : 1;
    }
    section.hidden = entries.every((entry) => entry.hidden);
  }
  replace($("found"), words.length > 0 ? `${found} found` : "");
}

/** Opens what the address names, such as `docs#sendToGroup`. */
function open() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
    named.querySelector("summary").focus();
  }
}

addEventListener("hashchange", open);
try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  replace($("operations"), element("p", { role: "alert" }, `The description could not be loaded: ${error.message}.`));
}

// Masks as the server matches them (docs/protocol.md, "Masks"), for one purpose: to file what a joined mask brings.

/** Whether a target names many groups: `*`, `?` or `[` make it a mask. */
export function isMask(target) {
  return /[*?[]/.test(target);
}

/** Whether a group's name matches. Takes time in proportion to both lengths, without trying all combinations. */
export function matches(mask, name) {
  const tokens = parse(mask);
  const characters = [...name];
  let token = 0;
  let at = 0;
  // The last `*`, and up to where it has eaten: only that one needs to be tried again.
  let star = -1;
  let eaten = 0;
  while (at < characters.length) {
    if (token < tokens.length && tokens[token] !== "*" && tokens[token](characters[at])) {
      token += 1;
      at += 1;
    } else if (tokens[token] === "*") {
      star = token;
      eaten = at;
      token += 1;
    } else if (star >= 0) {
      eaten += 1;
      at = eaten;
      token = star + 1;
    } else {
      return false;
    }
  }
  while (tokens[token] === "*") token += 1;
  return token === tokens.length;
}

/** "*", or a test of one character, for each part of the mask. */
function parse(mask) {
  const characters = [...mask];
  const tokens = [];
  for (let i = 0; i < characters.length; i += 1) {
    const end = characters[i] === "[" ? characters.indexOf("]", i) : -1;
    if (characters[i] === "*") {
      tokens.push("*");
    } else if (characters[i] === "?") {
      tokens.push(() => true);
    } else if (end > 0) {
      tokens.push(set(characters.slice(i + 1, end)));
      i = end;
    } else {
      const wanted = characters[i];
      tokens.push((character) => character === wanted);
    }
  }
  return tokens;
}

function set(members) {
  const negated = members[0] === "!";
  const rest = negated ? members.slice(1) : members;
  const ranges = [];
  for (let i = 0; i < rest.length; i += 1) {
    const isRange = rest[i + 1] === "-" && i + 2 < rest.length;
    ranges.push([rest[i].codePointAt(0), rest[isRange ? i + 2 : i].codePointAt(0)]);
    if (isRange) i += 2;
  }
  return (character) => {
    const point = character.codePointAt(0);
    return ranges.some(([from, to]) => from <= point && point <= to) !== negated;
  };
}

/** Hetzner's label selectors: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, joined by commas. */
export function matchesLabels(labels: Readonly<Record<string, string>>, selector: string): boolean {
  const terms = selector.split(/,(?![^(]*\))/).map((term) => term.trim());
  return terms.filter((term) => term !== "").every((term) => matches(labels, term));
}

function matches(labels: Readonly<Record<string, string>>, term: string): boolean {
  const [, key, not, values] = term.match(/^(\S+)\s+(not)?in\s+\(([^)]*)\)$/) ?? [];
  if (key !== undefined && values !== undefined) {
    const listed = values.split(",").map((value) => value.trim());
    return listed.includes(labels[key] ?? "") === (not === undefined);
  }
  const [, name = "", operator, value = ""] = term.match(/^([^=!]+)(!=|==?)(.*)$/) ?? [];
  if (operator !== undefined) return (labels[name.trim()] === value.trim()) === (operator !== "!=");
  return term.startsWith("!") ? !(term.slice(1) in labels) : term in labels;
}

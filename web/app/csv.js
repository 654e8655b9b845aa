// Comma-separated values as RFC 4180 has them, safe to open in a spreadsheet.

// A text cell that begins like a formula would be run by Excel and others: an apostrophe makes it text again.
const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const cell = (found) => {
  if (found === null || found === undefined) return "";
  if (typeof found === "number" || typeof found === "boolean") return String(found);
  const text = safe(String(found));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export const csv = (head, rows) => [head, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");

/** @param {string} name @param {Blob} content */
export function save(name, content) {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// The byte-order mark tells Excel that the text is UTF-8.
export const download = (name, text) => save(name, new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));

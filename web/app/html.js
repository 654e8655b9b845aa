// Markup without a build step: htm reads JSX-like template strings, Preact renders them.
import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);

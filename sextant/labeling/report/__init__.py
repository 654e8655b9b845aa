"""The dashboards as one HTML file to send by mail, and a few lines of text per batch for a topic.

`figures` draws SVG, `document` joins all reports of the specification into a page, `summary` tells a batch in words.
Everything is built as XML elements, so that no name or label of the data can become markup.
"""

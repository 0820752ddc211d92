"""Reports: one self-contained page of HTML on runs, to read, to listen to and to print.

The page refers to nothing on the network. Its charts are specifications of Vega-Lite, drawn by the
libraries that vl-convert-python bundles; its text is rendered by jinja2, which escapes every name.
"""

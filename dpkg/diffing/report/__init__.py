"""A review as a file: one HTML page (`html`), or Markdown for a pull request (`markdown`)."""

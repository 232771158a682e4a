# SPDX-License-Identifier: GPL-2.0
"""Edits a file with vim, by keys, while its window changes its size.
Arguments: how often, the file."""

import sys

from typed import Terminal

size, name = int(sys.argv[1]), sys.argv[2]
marks = 0
vim = Terminal(["vim.basic", "-u", "NONE", "-i", "NONE", "-N", name], TERM="vt220")


def sync():
    """Everything typed so far is done: vim says so. What is typed is not what it says."""
    global marks
    marks += 1
    vim.type(f":echo 'mark'.{marks}.'!'\r", f"mark{marks}!")


vim.type(":set nomore noshowcmd noruler report=99999 textwidth=60 shell=/bin/sh\r")
vim.type(":autocmd VimResized * call append('$', 'now '.&lines.' by '.&columns)\r")
sync()
for turn in range(size):
    # A macro that counts, and is repeated.
    vim.type("ggO0\x1bqqyyp\x01jq60@q")
    sync()
    # Text, put into paragraphs, taken back and put again.
    vim.type(f"Go\rTurn {turn}. " + "What is typed is broken into lines by itself. " * 6 + "\x1b")
    vim.type("3u2\x12")
    vim.type("gqip{j>}")
    sync()
    # A block of columns, lines sorted by a program, and a search that replaces.
    vim.type("gg0\x165jl\"ay$\"aP")
    vim.type(":1,200!sort -rn | uniq\r")
    vim.type(":%s/\\v(\\d)(\\d)$/\\2\\1/\r")
    vim.type(f":g/{turn}7/m0\r")
    sync()
    # Windows in the window, while it changes.
    vim.type(":split\r:vsplit\r\x17w")
    for rows, columns in ((30, 100 + turn), (50, 132), (24, 80)):
        vim.resize(rows, columns)
        while True:     # asked again until it has noticed
            marks += 1
            vim.type(f":echo 'size'.{marks}.'<'.&lines.'>'\r", f"size{marks}<")
            if vim.wait(">") == str(rows):
                break
    vim.type(":only\r:let @z=string(undotree().seq_cur)\rGo\x12z\x1b")
    vim.type(":w\r")
    sync()
vim.type(":sort n\r:wq\r")
print("vim ended with", vim.end())

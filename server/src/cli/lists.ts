import type { Command } from 'commander'
import { everyItem, type Paging } from './client.ts'
import { type CommonOptions, wholeNumber } from './command.ts'
import { type Column, renderTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export type ListOptions = CommonOptions & { readonly limit: number; readonly all?: boolean }

export const withListOptions = (command: Command): Command =>
  command
    .option('--limit <n>', 'at most so many', wholeNumber(1, 500), 100)
    .option('--all', 'all of them, page after page')

type Page<Item> = { items: Item[]; next: string | null }
type ReadPage<Item> = (paging: Paging) => Promise<Page<Item>>

/** Writes one page, or all of them, as a table or as JSON. */
export async function showList<Item>(
  terminal: Pick<Terminal, 'columns' | 'write' | 'note' | 'json'>,
  options: ListOptions,
  columns: readonly Column<Item>[],
  readPage: ReadPage<Item>,
): Promise<void> {
  const page = await read(options, readPage)
  if (options.json) {
    terminal.json(page)
    return
  }
  if (page.items.length > 0) terminal.write(renderTable(columns, page.items, terminal.columns))
  else terminal.note('None.')
  if (page.next !== null)
    terminal.note(`These are the newest ${page.items.length}. Add --all for all of them.`)
}

async function read<Item>({ all, limit }: ListOptions, readPage: ReadPage<Item>): Promise<Page<Item>> {
  if (!all) return readPage({ limit })
  const items: Item[] = []
  for await (const item of everyItem(readPage)) items.push(item)
  return { items, next: null }
}

/** `2026-01-02 03:04:05`, in UTC: the same in every table, and it sorts. */
export const shortTime = (at: string | null): string | null => at && `${at.slice(0, 10)} ${at.slice(11, 19)}`

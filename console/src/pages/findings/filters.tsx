import type { FindingOrder, FindingView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Search, X } from 'lucide-react'
import { type FormEvent, useId, useState } from 'react'
import { type FindingFilter, findingCountsQuery } from '../../api/finding-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Choice } from '../../ui/field.tsx'
import { type FilterLink, FilterLinks } from '../../ui/filter-links.tsx'

const route = getRouteApi('/findings')

const states = [
  ['open', 'Open'],
  ['importing', 'Importing'],
  ['imported', 'In the vault'],
  ['restored', 'Put back'],
  ['fixed', 'Fixed'],
  ['ignored', 'Ignored'],
  ['all', 'All'],
] as const

const orders: readonly (readonly [FindingOrder, string])[] = [
  ['newest', 'newest'],
  ['seen', 'last seen'],
  ['confidence', 'confidence'],
  ['places', 'most places'],
]

/** What the address asks for. */
export function useFilter(): {
  filter: FindingFilter
  sort: FindingOrder
  state: FindingView['state'] | 'all'
} {
  const { state: asked = 'open', confidence, provider, rule, project, path, text, sort } = route.useSearch()
  const state = asked === 'all' ? undefined : asked
  const filter = { state, confidence, provider, rule, project, path, text }
  return { filter, sort: sort ?? 'newest', state: asked }
}

/** What the list shows: by state as links, by everything else as choices of what there is. */
export function Filters() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { filter, sort, state: shown } = useFilter()
  const { data: counts } = useQuery(findingCountsQuery(filter))
  const { finding: _, pick: __, state: ___, ...kept } = search
  const countOf = (state: string): number | undefined =>
    counts && state !== 'all' ? (counts.states[state as FindingView['state']] ?? 0) : undefined
  const links: FilterLink[] = states
    .filter(([state]) => state === shown || !rare.includes(state) || (countOf(state) ?? 0) > 0)
    .map(([state, name]) => ({
      text: countOf(state) === undefined ? name : `${name} ${countOf(state)?.toLocaleString()}`,
      search: { ...kept, state: state === 'open' ? undefined : state },
      chosen: state === shown,
    }))
  const set = (change: Partial<typeof search>): void =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true })
  return (
    <div className="mb-4 flex flex-col gap-3">
      <FilterLinks label="Findings by state" to="/findings" links={links} />
      <div className="grid grid-cols-2 items-center gap-x-4 gap-y-2 sm:flex sm:flex-wrap max-sm:[&_select]:min-w-0 max-sm:[&_select]:flex-1 max-sm:[&>span]:flex sm:[&_select]:max-w-48">
        <TextFilter key={search.text} text={search.text} onChange={(text) => set({ text })} />
        <Choice
          label="Confidence"
          value={search.confidence ?? ''}
          options={[
            ['', 'any'],
            ['high', 'high'],
            ['medium', 'medium'],
            ['low', 'low'],
          ]}
          onChange={(confidence) => set({ confidence: confidence === '' ? undefined : confidence })}
        />
        <Tally
          label="Provider"
          value={search.provider}
          tally={counts?.providers}
          set={(provider) => set({ provider })}
        />
        <Tally label="Rule" value={search.rule} tally={counts?.rules} set={(rule) => set({ rule })} />
        <Tally
          label="Project"
          value={search.project}
          tally={counts?.projects}
          set={(project) => set({ project })}
        />
        <Choice
          label="Sorted by"
          value={sort}
          options={orders}
          onChange={(order) => set({ sort: order === 'newest' ? undefined : order })}
        />
      </div>
      {search.path ? (
        <p className="flex items-center gap-2 text-[0.8125rem]">
          <span className="text-muted">In</span> <code className="break-all">{search.path}</code>
          <Button size="small" tone="quiet" icon={X} onClick={() => set({ path: undefined })}>
            Everywhere
          </Button>
        </p>
      ) : null}
    </div>
  )
}

/** States that are named only when something is in them. */
const rare: readonly string[] = ['importing', 'restored']

function TextFilter({ text, onChange }: { text: string | undefined; onChange: (text?: string) => void }) {
  const [words, setWords] = useState(text ?? '')
  const id = useId()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    onChange(words.trim() === '' ? undefined : words.trim())
  }
  return (
    <search className="col-span-2">
      <form onSubmit={submit} className="flex min-w-0 items-center gap-1">
        <label htmlFor={id} className="sr-only">
          Search in titles, rules, masks and file names
        </label>
        <span className="relative">
          <Search size={15} aria-hidden="true" className="absolute top-2 left-2.5 text-muted" />
          <input
            id={id}
            type="search"
            value={words}
            placeholder="Title, rule, file…"
            onChange={({ target }) => setWords(target.value)}
            className="h-8 w-48 rounded-md border border-edge bg-surface pr-2 pl-8 text-[0.8125rem] placeholder:text-muted"
          />
        </span>
        <Button size="small" type="submit">
          Search
        </Button>
      </form>
    </search>
  )
}

type TallyProps = {
  label: string
  value: string | undefined
  tally: readonly { name: string; count: number }[] | undefined
  set: (value: string | undefined) => void
}

const mostOptions = 200

/** Left out while there is nothing to choose between. */
function Tally({ label, value, tally = [], set }: TallyProps) {
  if (tally.length < 2 && value === undefined) return null
  const own =
    value !== undefined && !tally.some(({ name }) => name === value) ? [{ name: value, count: 0 }] : []
  const shown = [...own, ...tally.slice(0, mostOptions)]
  const options = [
    ['', 'all'],
    ...shown.map(({ name, count }) => [name, `${name} (${count.toLocaleString()})`] as const),
  ] as const
  return (
    <Choice
      label={label}
      value={value ?? ''}
      options={options}
      onChange={(name) => set(name === '' ? undefined : name)}
    />
  )
}

import { Link, type LinkProps } from '@tanstack/react-router'

export type FilterLink = { text: string; search: LinkProps['search']; chosen: boolean }
type Props = {
  label: string
  to: '/findings' | '/runs' | '/approvals' | '/agents/egress'
  links: readonly FilterLink[]
}

/** Filters as links, so that each has an address of its own. */
export function FilterLinks({ label, to, links }: Props) {
  return (
    <nav aria-label={label}>
      <ul className="inline-flex flex-wrap gap-0.5 rounded-lg bg-sunken p-0.5">
        {links.map(({ text, search, chosen }) => (
          <li key={text}>
            <Link
              to={to}
              search={search as never}
              replace
              aria-current={chosen ? 'true' : undefined}
              className={`inline-flex h-7 items-center rounded-md px-3 text-[0.8125rem] whitespace-nowrap ${
                chosen
                  ? 'bg-surface font-medium text-ink shadow-[0_0_0_1px_var(--line)]'
                  : 'text-muted hover:text-ink'
              }`}
            >
              {text}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

import { Link, useRouterState } from '@tanstack/react-router'
import { ChevronRight, Hand, Keyboard, Menu as MenuIcon, Search } from 'lucide-react'
import { IconButton } from '../ui/button.tsx'
import { AccountMenu } from './account-menu.tsx'
import { type Place, placeOf } from './places.ts'
import { rooms } from './rooms.ts'

type Props = { pending: number; onMenu: () => void; onPalette: () => void; onHelp: () => void }

export function TopBar({ pending, onMenu, onPalette, onHelp }: Props) {
  return (
    <header className="sticky top-0 z-30 flex h-14 items-center gap-1.5 border-b border-line bg-canvas/90 px-3 backdrop-blur-sm sm:px-8">
      <span className="lg:hidden">
        <IconButton icon={MenuIcon} label="Open the menu" onClick={onMenu} />
      </span>
      <Breadcrumb />
      <div className="flex-1" />
      {pending > 0 ? (
        <Link
          to="/approvals"
          className="mr-1 hidden h-7 items-center gap-1.5 rounded-full bg-wait-wash px-3 text-xs font-medium text-wait sm:inline-flex"
        >
          <Hand size={13} aria-hidden="true" />
          {pending === 1 ? '1 approval waits' : `${pending} approvals wait`}
        </Link>
      ) : null}
      <button
        type="button"
        onClick={onPalette}
        className="inline-flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-2 text-[0.8125rem] text-muted hover:text-ink"
      >
        <Search size={15} aria-hidden="true" />
        <span className="sr-only md:not-sr-only">Go to…</span>
        <kbd className="hidden rounded border border-line px-1 text-[0.6875rem] md:inline">Ctrl K</kbd>
      </button>
      <span className="hidden sm:block">
        <IconButton icon={Keyboard} label="Keyboard shortcuts" onClick={onHelp} />
      </span>
      <AccountMenu />
    </header>
  )
}

function Breadcrumb() {
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const place = placeOf(path)
  if (!place) return null
  const room = rooms.find(({ to }) => to === path)?.name
  const rest =
    path === place.path ? undefined : (room ?? decodeURIComponent(path.slice(place.path.length + 1)))
  return (
    <nav aria-label="Breadcrumb" className="min-w-0">
      <ol className="flex min-w-0 items-center gap-1 text-[0.8125rem]">
        <Crumb place={place} last={rest === undefined} />
        {rest === undefined ? null : (
          <li className="flex min-w-0 items-center gap-1">
            <ChevronRight size={14} className="shrink-0 text-muted" aria-hidden="true" />
            <span aria-current="page" className="truncate font-medium">
              {rest}
            </span>
          </li>
        )}
      </ol>
    </nav>
  )
}

function Crumb({ place, last }: { place: Place; last: boolean }) {
  if (last) {
    return (
      <li>
        <span aria-current="page" className="font-medium">
          {place.name}
        </span>
      </li>
    )
  }
  return (
    <li className="shrink-0">
      <Link to={place.path} className="inline-flex min-h-6 items-center text-muted hover:text-ink">
        {place.name}
      </Link>
    </li>
  )
}

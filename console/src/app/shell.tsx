import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Outlet, useRouterState } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { type Connection, followEvents } from '../api/index.ts'
import { statusQuery } from '../api/queries.ts'
import { announce } from '../ui/announcer.tsx'
import { SideSheet } from '../ui/dialog.tsx'
import { CommandPalette } from './command-palette.tsx'
import { ShortcutHelp } from './shortcut-help.tsx'
import { useShortcuts } from './shortcuts.ts'
import { Sidebar } from './sidebar.tsx'
import { TopBar } from './top-bar.tsx'

type Open = 'palette' | 'help' | 'menu' | undefined

/** The frame around every page: where one is, where one can go, and what waits. */
export function Shell() {
  const [open, setOpen] = useState<Open>()
  const connection = useLiveEvents()
  const pending = usePendingApprovals()
  useFocusOnArrival(() => setOpen(undefined))
  useShortcuts({ onPalette: () => setOpen('palette'), onHelp: () => setOpen('help') })
  const close = (): void => setOpen(undefined)
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[14.5rem_minmax(0,1fr)]">
      <button
        type="button"
        onClick={() => document.getElementById('content')?.focus()}
        className="fixed top-2 left-2 z-50 -translate-y-20 rounded-md bg-solid px-4 py-2 font-medium text-on-solid focus:translate-y-0"
      >
        Skip to the content
      </button>
      <aside
        aria-label="Menu"
        className="sticky top-0 hidden h-dvh border-r border-line bg-sunken/60 lg:block"
      >
        <Sidebar pending={pending} connection={connection} />
      </aside>
      <div className="min-w-0">
        <TopBar
          pending={pending}
          onMenu={() => setOpen('menu')}
          onPalette={() => setOpen('palette')}
          onHelp={() => setOpen('help')}
        />
        <main id="content" tabIndex={-1} className="mx-auto max-w-[80rem] px-4 pt-6 pb-24 sm:px-8">
          <Outlet />
        </main>
      </div>
      <CommandPalette open={open === 'palette'} onClose={close} onHelp={() => setOpen('help')} />
      <ShortcutHelp open={open === 'help'} onClose={close} />
      <SideSheet open={open === 'menu'} onClose={close} title="Keyward" side="left">
        <Sidebar pending={pending} connection={connection} />
      </SideSheet>
    </div>
  )
}

function useLiveEvents(): Connection {
  const client = useQueryClient()
  const [connection, setConnection] = useState<Connection>('connecting')
  useEffect(() => followEvents({ client, onConnection: setConnection }), [client])
  return connection
}

/** Counts what waits for an answer, and says so when it grows. */
function usePendingApprovals(): number {
  const { data } = useQuery(statusQuery)
  const count = data?.counts.pendingApprovals
  const before = useRef<number | undefined>(undefined)
  useEffect(() => {
    if (count === undefined) return
    if (before.current !== undefined && count > before.current) announce('A new approval waits for you')
    before.current = count
  }, [count])
  return count ?? 0
}

/** After a change of page the heading takes the focus, so that keyboard and screen reader start there. */
function useFocusOnArrival(onArrival: () => void): void {
  const path = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation?.pathname })
  const first = useRef(true)
  const arrive = useRef(onArrival)
  useEffect(() => {
    arrive.current = onArrival
  })
  useEffect(() => {
    if (path === undefined) return
    if (first.current) {
      first.current = false
      return
    }
    arrive.current()
    const frame = requestAnimationFrame(() => {
      const heading = document.querySelector<HTMLElement>('main h1') ?? document.getElementById('content')
      heading?.focus({ preventScroll: true })
    })
    return () => cancelAnimationFrame(frame)
  }, [path])
}

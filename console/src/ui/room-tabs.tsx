import { Link, type LinkProps } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'

type Room = { readonly to: NonNullable<LinkProps['to']>; readonly name: string }

/** The rooms of one place: one line that scrolls by itself on a narrow screen; the room one is in is brought into sight. */
export function RoomTabs({ label, rooms }: { label: string; rooms: readonly Room[] }) {
  const list = useRef<HTMLUListElement>(null)
  useEffect(() => {
    const current = list.current?.querySelector('[aria-current=page]')
    const box = list.current?.parentElement
    if (current instanceof HTMLElement && box) box.scrollLeft = current.offsetLeft - 40
  }, [])
  return (
    <nav aria-label={label} className="relative mt-4 overflow-x-auto border-b border-line">
      <ul ref={list} className="flex w-max gap-1 pt-1">
        {rooms.map(({ to, name }) => (
          <li key={name}>
            <Link
              to={to}
              activeOptions={{ exact: true, includeSearch: false }}
              className="inline-flex h-9 items-center border-b-2 border-transparent px-2.5 text-muted -outline-offset-2 hover:text-ink aria-[current=page]:border-brass-mark aria-[current=page]:font-medium aria-[current=page]:text-ink"
            >
              {name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { places } from './places.ts'

const storageKey = 'keyward:single-key-shortcuts'
const sequenceMilliseconds = 1200

/** Shortcuts of one printable key can be turned off (WCAG 2.1.4): speech input may press them by accident. */
export const singleKeysOn = (): boolean => localStorage.getItem(storageKey) !== 'off'
export const keepSingleKeys = (on: boolean): void => localStorage.setItem(storageKey, on ? 'on' : 'off')

type Handlers = { onPalette: () => void; onHelp: () => void }

/** Ctrl/⌘-K opens the commands, `?` the help, and `g` followed by a letter goes to a page. */
export function useShortcuts(handlers: Handlers): void {
  const navigate = useNavigate()
  const latest = useRef(handlers)
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    let goingSince = 0
    const press = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        latest.current.onPalette()
        return
      }
      if (!plainKey(event) || !singleKeysOn()) return
      const going = event.timeStamp - goingSince < sequenceMilliseconds
      goingSince = !going && event.key === 'g' ? event.timeStamp : Number.NEGATIVE_INFINITY
      const place = going ? places.find(({ letter }) => letter === event.key) : undefined
      if (place) void navigate({ to: place.path })
      else if (event.key === '?') latest.current.onHelp()
    }
    goingSince = Number.NEGATIVE_INFINITY
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [navigate])
}

function plainKey({ target, ctrlKey, metaKey, altKey, defaultPrevented }: KeyboardEvent): boolean {
  if (ctrlKey || metaKey || altKey || defaultPrevented || !(target instanceof Element)) return false
  return !target.closest('input, textarea, select, [contenteditable], [role=dialog], [role=menu]')
}

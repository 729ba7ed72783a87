import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { type Place, places } from './places.ts'

const storageKey = 'keyward:single-key-shortcuts'
const sequenceMilliseconds = 1200

/** Shortcuts of one printable key can be turned off (WCAG 2.1.4): speech input may press them by accident. */
export const singleKeysOn = (): boolean => localStorage.getItem(storageKey) !== 'off'
export const keepSingleKeys = (on: boolean): void => localStorage.setItem(storageKey, on ? 'on' : 'off')

type Handlers = { onPalette: () => void; onHelp: () => void }
type Heard = 'palette' | 'help' | Place | undefined

/** Ctrl/⌘-K opens the commands, `?` the help, and `g` followed by a letter goes to a page. */
export function useShortcuts(handlers: Handlers): void {
  const navigate = useNavigate()
  const latest = useRef(handlers)
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    const listen = createListener()
    const press = (event: KeyboardEvent): void => {
      const heard = listen(event)
      if (heard === undefined) return
      event.preventDefault()
      if (heard === 'palette') latest.current.onPalette()
      else if (heard === 'help') latest.current.onHelp()
      else void navigate({ to: heard.path })
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [navigate])
}

/** Understands one key after the other; remembers a `g` for a moment. */
function createListener(): (event: KeyboardEvent) => Heard {
  let goingUntil = 0
  return (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') return 'palette'
    if (!plainKey(event) || !singleKeysOn()) return undefined
    if (event.key === '?') return 'help'
    const going = event.timeStamp < goingUntil
    goingUntil = !going && event.key === 'g' ? event.timeStamp + sequenceMilliseconds : 0
    return going ? places.find(({ letter }) => letter === event.key) : undefined
  }
}

function plainKey({ target, ctrlKey, metaKey, altKey, defaultPrevented }: KeyboardEvent): boolean {
  if (ctrlKey || metaKey || altKey || defaultPrevented || !(target instanceof Element)) return false
  return !target.closest('input, textarea, select, [contenteditable], [role=dialog], [role=menu]')
}

import { useEffect, useState } from 'react'

const shownMilliseconds = 6000
const channel = 'keyward:announce'

/** Says something in the live region at the foot of the page: seen for a moment and read out by screen readers. */
export function announce(text: string): void {
  window.dispatchEvent(new CustomEvent(channel, { detail: text }))
}

export function Announcer() {
  const [said, setSaid] = useState<{ text: string; count: number }>({ text: '', count: 0 })
  useEffect(() => {
    const hear = (event: Event): void => {
      if (event instanceof CustomEvent)
        setSaid(({ count }) => ({ text: String(event.detail), count: count + 1 }))
    }
    window.addEventListener(channel, hear)
    return () => window.removeEventListener(channel, hear)
  }, [])
  useEffect(() => {
    if (said.text === '') return
    const timer = setTimeout(() => setSaid(({ count }) => ({ text: '', count })), shownMilliseconds)
    return () => clearTimeout(timer)
  }, [said])
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-6 z-50 flex justify-center px-4"
    >
      {said.text === '' ? null : (
        <p key={said.count} className="rounded-lg bg-solid px-4 py-2.5 text-sm text-on-solid shadow-lg">
          {said.text}
        </p>
      )}
    </div>
  )
}

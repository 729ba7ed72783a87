import { useEffect, useState } from 'react'

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const steps = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

function relativeText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  }
  return Math.abs(seconds) < 10 ? 'just now' : relative.format(seconds, 'second')
}

/** The present, read again every `everyMilliseconds` while the component is shown. */
export function useNow(everyMilliseconds: number): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMilliseconds)
    return () => clearInterval(timer)
  }, [everyMilliseconds])
  return now
}

/** How long ago, or until when; the exact time stands in the title and in the markup. */
export function Time({ at }: { at: string }) {
  const now = useNow(15_000)
  return (
    <time dateTime={at} title={full.format(new Date(at))} className="whitespace-nowrap">
      {relativeText(Date.parse(at) - now)}
    </time>
  )
}

export function ExactTime({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at} className="whitespace-nowrap tabular-nums">
      {full.format(new Date(at))}
    </time>
  )
}

/** A moment to come, by the clocks of a place. */
export const moment = (at: string, timeZone: string): string =>
  new Intl.DateTimeFormat(undefined, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    timeZone,
  }).format(new Date(at))

function remainingText(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const two = (value: number): string => String(value).padStart(2, '0')
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  if (days > 0) return `${days} d ${hours} h`
  return hours > 0 ? `${hours} h ${two(minutes)} min` : `${minutes}:${two(seconds % 60)} min`
}

/** Counts down by the second; silent for screen readers, which find the end in the title. */
export function Countdown({ until }: { until: string }) {
  const left = Date.parse(until) - useNow(1000)
  if (left <= 0) return <span className="font-medium text-bad">expired</span>
  return (
    <time
      dateTime={until}
      title={full.format(new Date(until))}
      className={`whitespace-nowrap tabular-nums ${left < 120_000 ? 'font-medium text-bad' : ''}`}
    >
      {remainingText(left)}
    </time>
  )
}

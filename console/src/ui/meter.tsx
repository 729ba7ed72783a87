type Props = {
  label: string
  /** Null: not known, or not yet. */
  value: number | null
  max: number
  /** Of a value, in words. */
  text: (value: number) => string
}

const nearlyAll = 0.85

/** How much of a limit is used: a bar, and the same in words. */
export function Meter({ label, value, max, text }: Props) {
  const part = value === null ? 0 : Math.min(1, value / max)
  const words = value === null ? `of ${text(max)}` : `${text(value)} of ${text(max)}`
  return (
    <div className="min-w-0">
      <p className="flex items-baseline justify-between gap-2 text-xs">
        <span className="text-muted">{label}</span>
        <span className={`truncate tabular-nums ${part >= nearlyAll ? 'font-medium text-bad' : ''}`}>
          {words}
        </span>
      </p>
      <meter className="sr-only" aria-label={label} max={max} value={value ?? 0}>
        {words}
      </meter>
      <div aria-hidden="true" className="mt-1 h-1.5 overflow-hidden rounded-full bg-sunken">
        <div
          className={`h-full rounded-full ${part >= nearlyAll ? 'bg-bad' : 'bg-brass-mark'}`}
          style={{ width: `${part * 100}%` }}
        />
      </div>
    </div>
  )
}

import type { Family, Sample } from './exposition.ts'

type Labels = Readonly<Record<string, string>>

/** Counts by labels. What would make a family larger than `mostSeries` is counted as `other`. */
export type Counter = {
  /** Adds to the value of these labels; 0 makes it appear, so that its first increase can be seen. */
  add(labels: Labels, by?: number): void
  samples(): Sample[]
}

const mostSeries = 500

export function createCounter(): Counter {
  const series = new Map<string, { labels: Labels; value: number }>()
  return {
    add(labels, by = 1) {
      const own = fittingIn(series, labels)
      const key = keyOf(own)
      series.set(key, { labels: own, value: (series.get(key)?.value ?? 0) + by })
    },
    samples: () => [...series.values()],
  }
}

export type Histogram = { observe(labels: Labels, value: number): void; samples(): Sample[] }

/** @param bounds upper bounds of the buckets, ascending. */
export function createHistogram(bounds: readonly number[]): Histogram {
  const series = new Map<string, { labels: Labels; counts: number[]; sum: number }>()
  return {
    observe(labels, value) {
      const own = fittingIn(series, labels)
      const key = keyOf(own)
      const { counts, sum } = series.get(key) ?? { counts: bounds.map(() => 0).concat(0), sum: 0 }
      const at = bounds.findIndex((bound) => value <= bound)
      const bucket = at === -1 ? bounds.length : at
      series.set(key, {
        labels: own,
        counts: counts.map((count, i) => (i === bucket ? count + 1 : count)),
        sum: sum + value,
      })
    },
    samples: () =>
      [...series.values()].flatMap(({ labels, counts, sum }) => {
        let total = 0
        const buckets = counts.map((count, i): Sample => {
          total += count
          const le = i === bounds.length ? '+Inf' : String(bounds[i])
          return { suffix: '_bucket', labels: { ...labels, le }, value: total }
        })
        return [
          ...buckets,
          { suffix: '_sum', labels, value: sum },
          { suffix: '_count', labels, value: total },
        ] satisfies Sample[]
      }),
  }
}

const keyOf = (labels: Labels): string => JSON.stringify(labels)

function fittingIn(series: ReadonlyMap<string, unknown>, labels: Labels): Labels {
  if (series.size < mostSeries || series.has(keyOf(labels))) return labels
  return Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']))
}

/** As a family with its name. */
export const familyOf = (name: string, help: string, from: Counter | Histogram): Family => ({
  name,
  help,
  kind: 'add' in from ? 'counter' : 'histogram',
  samples: from.samples(),
})

/** One value of a family, told from its others by its labels. */
export type Sample = {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
  /** What stands behind the family's name: `_bucket`, `_sum` and `_count` of a histogram. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
}
export type Family = {
  /** Without `keyward_`. */
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** Prometheus text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const expositionOf = (families: readonly Family[]): string =>
  families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, kind, help, samples }) => {
      const full = `keyward_${name}`
      const head = `# HELP ${full} ${help}\n# TYPE ${full} ${kind}\n`
      return head + samples.map((sample) => `${full}${textOf(sample)}\n`).join('')
    })
    .join('')

function textOf({ labels = {}, value, suffix }: Sample): string {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`)
  return `${suffix ?? ''}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

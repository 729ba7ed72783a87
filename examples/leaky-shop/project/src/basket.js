const priceCents = { assam: 890, sencha: 1240, kettle: 7900 }

/** The basket that a cookie such as `basket=3f2a:assam,kettle` describes. */
export function basketOf(cookie = '') {
  const [id = 'new', names = ''] = (/basket=([^;]*)/.exec(cookie)?.[1] ?? '').split(':')
  const items = names.split(',').filter((name) => name in priceCents)
  const totalCents = items.reduce((sum, name) => sum + priceCents[name], 0)
  return { id, items, totalCents }
}

/**
 * Reads once what several ask for at the same time. Who asks later than the reading began gets it only if nothing from outside, no
 * message and no commit that was told of, can have come between: until the microtasks that wait now have run.
 */
export function together<Key, Value>(read: (key: Key) => Promise<Value>): (key: Key) => Promise<Value> {
  const begun = new Map<Key, Promise<Value>>()
  return (key) => {
    const shared = begun.get(key)
    if (shared) return shared
    if (begun.size === 0) queueMicrotask(() => begun.clear())
    const reading = read(key)
    begun.set(key, reading)
    return reading
  }
}

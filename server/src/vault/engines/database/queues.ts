/** Work on the same name goes one after the other. */
export type Queues = { run<T>(name: string, work: () => Promise<T>): Promise<T> }

export function createQueues(): Queues {
  const last = new Map<string, Promise<unknown>>()
  return {
    async run(name, work) {
      const before = last.get(name)
      const mine = (async () => {
        // Who waits is not concerned by how the one before ended.
        await before?.catch(() => undefined)
        return work()
      })()
      last.set(name, mine)
      try {
        return await mine
      } finally {
        if (last.get(name) === mine) last.delete(name)
      }
    },
  }
}

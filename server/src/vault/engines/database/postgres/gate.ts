/** Many pass at the same time; while it is held shut, nobody does. */
export type Gate = {
  /** Waits until the gate is open, and keeps it so until `work` has ended. */
  pass<T>(work: () => Promise<T>): Promise<T>
  /** Lets nobody new in, waits for those who are passing, and opens again after `work`. Not from within `pass`. */
  shutWhile<T>(work: () => Promise<T>): Promise<T>
}

export function createGate(): Gate {
  let passing = 0
  let shut: Promise<void> | undefined
  let emptied = (): void => undefined

  async function untilEmpty(): Promise<void> {
    if (passing === 0) return
    await new Promise<void>((resolve) => {
      emptied = resolve
    })
  }

  return {
    async pass(work) {
      while (shut) await shut
      passing++
      try {
        return await work()
      } finally {
        if (--passing === 0) emptied()
      }
    },
    async shutWhile(work) {
      while (shut) await shut
      const { promise, resolve } = Promise.withResolvers<void>()
      shut = promise
      try {
        await untilEmpty()
        return await work()
      } finally {
        shut = undefined
        resolve()
      }
    },
  }
}

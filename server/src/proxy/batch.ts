/** Tells what comes up in one turn of the event loop in one message: sending one costs more than what is in it. */
export function inBatches<T>(send: (messages: readonly T[]) => void): (message: T) => void {
  let waiting: T[] = []
  const flush = (): void => {
    const messages = waiting
    waiting = []
    send(messages)
  }
  return (message) => {
    if (waiting.push(message) === 1) setImmediate(flush)
  }
}

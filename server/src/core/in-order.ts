export type Step = () => void | Promise<void>

/** Every step is taken, also after one that failed: keys are wiped however full the disk is. Throws the first failure. */
export async function inOrder(steps: readonly Step[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

import { createChat } from './chat.ts'
import { createModelPlanner, type ModelPlanner } from './model-planner.ts'
import { modelSettings } from './settings.ts'

type Needs = Omit<Parameters<typeof createModelPlanner>[0], 'settings' | 'chat'>

/** The language model that the environment names; undefined when it names none. Throws `request.invalid`. */
export function openModelPlanner(
  env: Readonly<Record<string, string | undefined>>,
  needs: Needs,
): ModelPlanner | undefined {
  const settings = modelSettings(env)
  return settings && createModelPlanner({ ...needs, settings, chat: createChat(settings) })
}

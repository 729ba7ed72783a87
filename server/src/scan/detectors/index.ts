import type { Detector } from '../detector.ts'
import { ai } from './ai.ts'
import { cloud } from './cloud.ts'
import { codeHosting } from './code-hosting.ts'
import { data } from './data.ts'
import { messaging } from './messaging.ts'
import { operations } from './operations.ts'
import { payments } from './payments.ts'
import { software } from './software.ts'
import { standardForms } from './standard-forms.ts'

/** Every kind of credential that Keyward knows by its form. */
export const detectors: readonly Detector[] = [
  ...codeHosting,
  ...cloud,
  ...ai,
  ...payments,
  ...messaging,
  ...data,
  ...operations,
  ...software,
  ...standardForms,
]

export { SignIn, type SignInState } from './sign-in.tsx'
export { codeIn, takeSignInCode } from './sign-in-code.ts'

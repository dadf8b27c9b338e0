// Written by vendoring.py.
export * from "./marked-18.2.1-5371fea86f.js";
